"""What the source tree promises about itself: everything is registered, documented, small and imported in peace."""

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import pytest

import densiflow
from densiflow import bases, bijections, networks, registry, scalars
from densiflow.bases import Base
from densiflow.bijections import Bijection
from densiflow.scalars import ScalarMap

ROOT = Path(densiflow.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(densiflow.__path__, "densiflow.")
    if not module.name.endswith("__main__")
)
FOLDERS = (bijections, scalars, networks, bases)
NEEDS_KEY = (Bijection, Base, *(getattr(networks, name) for name in networks.__all__))


def concrete_modules():
    """Every finished `eqx.Module` class that the package defines."""
    for name in MODULES:
        for cls in vars(importlib.import_module(name)).values():
            is_module = inspect.isclass(cls) and issubclass(cls, eqx.Module)
            if is_module and cls.__module__ == name and not inspect.isabstract(cls):
                yield cls


CLASSES = sorted(set(concrete_modules()), key=lambda cls: cls.__name__)
REGISTERED = sorted(registry.classes().values(), key=lambda cls: cls.__name__)
WITH_EXAMPLES = [cls for cls in REGISTERED if issubclass(cls, (*NEEDS_KEY, ScalarMap))]


def named(classes):
    return [pytest.param(cls, id=cls.__name__) for cls in classes]


def in_fresh_python(code):
    """Run code in an interpreter that has imported nothing yet; what it prints is JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def snake_case(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


@pytest.mark.parametrize("cls", named(CLASSES))
def test_every_class_is_registered(cls):
    assert registry.classes().get(cls.__name__) is cls, f"{cls.__name__} lacks its import line in {cls.__module__}"


@pytest.mark.parametrize("cls", named(REGISTERED))
def test_a_file_is_named_after_its_class(cls):
    assert cls.__module__.rpartition(".")[2] == snake_case(cls.__name__)


@pytest.mark.parametrize("cls", named(WITH_EXAMPLES))
def test_every_class_brings_examples(cls):
    import jax

    examples = cls.examples(jax.random.key(0)) if issubclass(cls, NEEDS_KEY) else cls.examples()
    assert examples
    assert all(type(example) is cls for example in examples.values())


@pytest.mark.parametrize("cls", named(WITH_EXAMPLES))
def test_a_docstring_has_formula_shapes_and_source(cls):
    text = inspect.getdoc(cls) or ""
    missing = [part for part in (".. math::", "Shapes:", "Source:") if part not in text]
    assert not missing


@pytest.mark.parametrize("folder", [pytest.param(folder, id=folder.__name__) for folder in FOLDERS])
def test_a_folder_exports_what_it_imports(folder):
    assert folder.__all__ == sorted(folder.__all__)
    assert set(folder.__all__) == {name for name, value in vars(folder).items() if inspect.isclass(value)}


def test_the_public_surface_is_sorted_complete_and_small():
    assert densiflow.__all__ == sorted(densiflow.__all__)
    assert len(densiflow.__all__) <= 15
    assert set(densiflow.__all__) == {*densiflow._HOMES, *densiflow._FOLDERS}
    for name in densiflow.__all__:
        assert getattr(densiflow, name) is not None


def test_a_name_not_built_is_absent():
    with pytest.raises(AttributeError, match="NotBuiltYet"):
        _ = densiflow.NotBuiltYet


def test_importing_the_package_is_light():
    loaded = set(in_fresh_python("import densiflow, json, sys; print(json.dumps(sorted(sys.modules)))"))
    assert not loaded & {"jax", "equinox", "numpy", "sklearn", "scipy", "pyarrow", "pandas", "matplotlib"}


def test_every_module_can_be_imported_first():
    code = f"""
import importlib, json, sys
for name in {MODULES!r}:
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] == "densiflow"]:
        del sys.modules[loaded]
    importlib.import_module(name)
print(json.dumps(True))
"""
    assert in_fresh_python(code)


def test_importing_changes_no_setting():
    code = f"""
import importlib, json, warnings
import jax, numpy
def settings():
    return repr((dict(jax.config.values), numpy.geterr(), numpy.get_printoptions(), warnings.filters))
for library in ("equinox", "sklearn", "pyarrow", "narwhals", "matplotlib.pyplot", "typer", "rich"):
    importlib.import_module(library)
before = settings()
for name in {MODULES!r}:
    importlib.import_module(name)
print(json.dumps(settings() == before))
"""
    assert in_fresh_python(code)


@pytest.mark.parametrize("source", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in SOURCES])
def test_no_file_outgrows_a_sitting(source):
    assert len(source.read_text().splitlines()) < 400, "split it"
