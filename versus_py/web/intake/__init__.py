"""POST /api/incidents: from the bytes of a request to incidents that are written down."""
