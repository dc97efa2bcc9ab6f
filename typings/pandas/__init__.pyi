# For pyright alone. pandas' own types say "Series, DataFrame or scalar" of nearly every operation, which would be a
# hundred false errors in helpers/. With this stub nothing that comes from pandas is checked, and all the rest is.
from typing import Any

def __getattr__(name: str) -> Any: ...
