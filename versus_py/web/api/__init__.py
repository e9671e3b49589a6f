"""Reading incidents and acting on them, as JSON, and the OpenAPI document."""
