"""How anything is trained: one loop, its recipe, its optimisers, its checkpoints."""
