"""Who may ask the API, and how much: keys, limits, and the gate every request passes."""
