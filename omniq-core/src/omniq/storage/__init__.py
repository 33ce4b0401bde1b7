"""The plugin API: four storage roles, what a backend declares, and how backends are found."""
