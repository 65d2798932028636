"""Train recommenders whose embedding tables are compressed."""
