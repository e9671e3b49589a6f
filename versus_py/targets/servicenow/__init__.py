"""ServiceNow: one record for each incident that nobody acknowledged, through the Table API.

`target` decides what becomes of a record, `instance` does it in one instance, `record` and `fields` say what is
written, `assignment` who gets it; `comments` hears what people say there; `table_api`, `login` and `connection` are the
way there.
"""
