def comparison_page(c): return str(c)
