"""The docstrings below the settings of a class."""

import ast
import inspect
import textwrap


def explained(settings_type: type) -> dict[str, str]:
    """Field to the docstring below it, which is in the source alone; those of the classes above it included."""
    texts: dict[str, str] = {}
    for each in reversed(settings_type.__mro__[:-1]):
        texts |= _own(each)
    return texts


def _own(settings_type: type) -> dict[str, str]:
    try:
        source = inspect.getsource(settings_type)
    except (OSError, TypeError):  # made at run time
        return {}
    (body,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(body, ast.ClassDef), settings_type
    texts = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = " ".join(text.split())
    return texts
