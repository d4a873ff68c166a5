"""How is it served? HTTP and delivery around the read model, which a Faust app feeds."""

__all__: list[str] = []
