-- Run once, when PostgreSQL's volume is empty. POSTGRES_DB has made the database of studies; MLflow keeps its own, because
-- Optuna and MLflow both number their schemas in a table of the same name.
CREATE DATABASE mlflow;
