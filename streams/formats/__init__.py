"""What a record stands for, however it is packed: CloudEvents, Avro and JSON behind a schema id become plain JSON."""

__all__: list[str] = []
