"""The problem codes, an area a file; `reconciler.model.problem_codes` joins them."""
