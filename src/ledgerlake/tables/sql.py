"""SQL's names and values, written by these two functions and nowhere else."""


def identifier(*parts: str) -> str:
    """A name of one or more parts, quoted for Spark SQL."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def literal(value: str) -> str:
    """A text as a Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
