"""The small module the notebooks import: data, models, training, results and the report."""
