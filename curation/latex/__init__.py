"""TeX sources to text: a paper's files put together, macros, formulas as they stand."""
