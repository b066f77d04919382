"""From RAW photographs to log-gradient network inputs (Lu & Murmann 2022)."""
