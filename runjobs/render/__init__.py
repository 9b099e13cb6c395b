"""Values to text: tables, problems and JSON, for a terminal or a pipe."""
