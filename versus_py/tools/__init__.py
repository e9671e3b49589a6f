"""What an operator runs beside the service: the demo, the doctor, checks of other tools' files, recordings."""
