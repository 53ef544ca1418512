"""The tasks of the Trio program that is running."""

import trio


def task_names() -> list[str]:
    """Return the names of all tasks."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found, todo = [], [root]
    while todo:
        task = todo.pop()
        found.append(task.name)
        todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found
