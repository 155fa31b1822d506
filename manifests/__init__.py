"""What a run is: its declaration, the contracts of its data, its data on disk, its record, and where it executes."""
