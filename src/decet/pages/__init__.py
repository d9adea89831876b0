"""Pages: one self-contained HTML file a model or comparison, without network or script."""
