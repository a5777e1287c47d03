"""What is fitted on training rows and applied to columns: scaling, reduction, selection."""
