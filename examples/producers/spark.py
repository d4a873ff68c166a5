"""A Spark job that scores a table and tells Leeway what it predicted, through Spark's own Kafka sink.

    spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.12:3.5.1 spark.py

No part of Leeway is needed on the cluster: an event is JSON.
"""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

FEATURES = ["tenure_days", "plan", "monthly_fee"]


def events(scored: DataFrame) -> DataFrame:
    """One Kafka record per row. A NaN would become the text "NaN": it is made null, which is left out."""
    numbers = {name for name, kind in scored.dtypes if kind in ("double", "float")}
    features = [
        f.nanvl(name, f.lit(None)).alias(name) if name in numbers else f.col(name)
        for name in FEATURES
    ]
    event = f.struct(
        f.col("event_id"),
        f.lit("churn").alias("model_id"),
        f.lit("1.0.0").alias("model_version"),
        f.unix_millis(f.current_timestamp()).alias("timestamp"),
        f.struct(*features).alias("features"),
        f.col("prediction"),
        f.nanvl("score", f.lit(None)).alias("score"),
    )
    return scored.select(f.col("event_id").alias("key"), f.to_json(event).alias("value"))


def main() -> None:
    spark = SparkSession.builder.appName("churn").getOrCreate()
    scored = spark.read.parquet("scored.parquet")  # has event_id, features, prediction, score
    (
        events(scored)
        .write.format("kafka")
        .option("kafka.bootstrap.servers", "localhost:9092")
        .option("kafka.compression.type", "lz4")
        .option("topic", "leeway.predictions")
        .save()
    )


if __name__ == "__main__":
    main()
