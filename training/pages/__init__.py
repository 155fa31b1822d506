"""What people see of a training: the page of a run and the model card."""
