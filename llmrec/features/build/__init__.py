"""The stage `featurize`: a plan, and the tasks that carry it out."""
