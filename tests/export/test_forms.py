"""Networks as libraries of Arduino, Zephyr and PlatformIO: built as far as stand-ins go, and run."""

import fnmatch
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from export import boards, firmware
from export.c import forms
from export.firmware import Options
from firmware import link, project
from loggrad_tf.errors import LogGradError
from loggrad_tf.transform.frontend import FrontEnd, fixed
from tests.export.test_firmware import SENSOR, generate, small, write_model
from tests.support import quantized
from tests.support.firmware_cases import FIRMWARE, board_sources, compile_c

HERE = Path(__file__).parent / "c"
ARDUINO, ZEPHYR, FREERTOS = HERE / "arduino_core", HERE / "zephyr_stub", HERE / "freertos_stub"
# As Arduino's cores compile: GNU C and C++, for size.
C = ["-std=gnu11", "-Os", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror"]
CXX = ["-std=gnu++17", "-Os", "-fno-exceptions", "-fno-rtti", "-ffunction-sections", "-Wall", "-Werror"]
# What the sketch says twice of its frame, as often as it loops.
SAID = r"(class \d[^\n]*, \d+ us, as TFLite has it\n(high|low)\n){2}"


def made(
    form: str,
    folder: Path,
    flatbuffer: bytes,
    board: str = "host",
    name: str = "net",
    end: FrontEnd | None = None,
) -> Path:
    model = write_model(folder / f"{name}.model", flatbuffer, end)
    out = folder / f"{form}-{name}"
    firmware.write(firmware.make(model, board, Options(2, name=name, form=form)), out)
    return out


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("generated_for", "run_on", "core"),
    [("arduino-nano-33-ble", "mps2-an386", "cortex-m4"), ("raspberry-pi-pico", "microbit", "cortex-m0plus")],
)
def test_an_arduino_sketch_runs(generated_for: str, run_on: str, core: str, tmp_path: Path) -> None:
    """The sketch as C++, the library as C, by the compilers of Arduino's cores, in QEMU."""
    end = fixed("loggrad_1p5", SENSOR)
    library = made("arduino", tmp_path, small(end), generated_for, "person", end)
    properties = dict(ln.split("=", 1) for ln in (library / "library.properties").read_text().splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "category", "url"} <= properties.keys()
    assert properties["includes"] == "person.h" and properties["dot_a_linkage"] == "true"
    # The IDE looks for headers in src alone.
    sketch = library / "examples" / "classify" / "classify.ino"
    facts = boards.read(run_on)
    flags = [
        flag.replace("cortex-m0", "cortex-m0plus") if core[-4:] == "plus" else flag for flag in facts["flags"]
    ]
    includes = [
        f"-I{library / 'src'}",
        f"-I{ARDUINO}",
        f"-I{sketch.parent}",
        f"-I{FIRMWARE / 'boards/common'}",
    ]
    objects = []
    for number, source in enumerate(
        [*sorted((library / "src").glob("*.c")), *map(Path, board_sources(run_on))]
    ):
        objects.append(str(tmp_path / f"{number}.o"))
        compile_c(["arm-none-eabi-gcc", *flags, *C, *includes, "-c", str(source), "-o", objects[-1]])
    for source in (sketch, ARDUINO / "core.cc"):
        objects.append(str(tmp_path / f"{source.stem}.o"))
        start = ["arm-none-eabi-g++", *flags, *CXX, *includes, "-include", "Arduino.h", "-x", "c++"]
        compile_c([*start, "-c", str(source), "-o", objects[-1]])
    image = tmp_path / "sketch.elf"
    symbols = {f"{m}_{key}": facts[m][key] for m in ("flash", "ram") for key in ("origin", "length")}
    symbols["stack_bytes"] = facts["stack"]
    compile_c(
        ["arm-none-eabi-gcc", *flags, *objects, *facts["link"], "-Wl,--gc-sections"]
        + [f"-Wl,--defsym=lg_{key}={value}" for key, value in symbols.items()]
        + [f"-T{FIRMWARE / 'boards/common/sections.ld'}", "-o", str(image)]
    )
    qemu = ["qemu-system-arm", "-M", facts["qemu"]["machine"], *facts["qemu"]["args"], "-kernel", str(image)]
    done = subprocess.run(qemu, input="", capture_output=True, text=True, timeout=120)
    assert re.fullmatch(SAID, done.stdout), done.stdout + done.stderr


@pytest.mark.seconds
def test_a_platformio_library_compiles_what_its_manifest_names(tmp_path: Path) -> None:
    library = made("platformio", tmp_path, quantized.separable(), name="person")
    manifest = json.loads((library / "library.json").read_text())
    build = manifest["build"]
    sources: set[Path] = set()
    for rule in build["srcFilter"]:
        found = {
            path
            for path in (library / build["srcDir"]).rglob("*")
            if path.is_file() and fnmatch.fnmatch(str(path.relative_to(library)), rule[2:-1])
        }
        sources = sources | found if rule[0] == "+" else sources - found
    assert {path.suffix for path in sources} == {".c"}
    assert {path.name for path in (library / "lib" / "src").glob("*.c")} < {path.name for path in sources}
    assert (library / build["includeDir"] / manifest["headers"]).is_file()
    (example,) = manifest["examples"]
    base = library / example["base"]
    assert sorted(example["files"]) == sorted(path.name for path in base.iterdir())
    includes = [f"-I{library / build['includeDir']}", f"-I{base}", f"-I{ARDUINO}"]
    includes += [f"-I{library / flag[2:]}" for flag in build["flags"]] + [f"-I{FIRMWARE / 'boards/common'}"]
    objects = []
    for number, source in enumerate([*sorted(sources), *map(Path, board_sources("host"))]):
        objects.append(str(tmp_path / f"{number}.o"))
        compile_c(["gcc", *C, *includes, "-c", str(source), "-o", objects[-1]])
    program = tmp_path / "program"
    compile_c(
        [
            "g++",
            *CXX,
            *includes,
            str(base / "main.cpp"),
            str(ARDUINO / "core.cc"),
            *objects,
            "-o",
            str(program),
        ]
    )
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60)
    assert re.fullmatch(SAID, done.stdout), done.stdout


def configured(sample: Path, *modules: Path) -> subprocess.CompletedProcess[str]:
    command = ["cmake", "-S", str(sample), "-B", str(sample / "build"), f"-DZephyr_DIR={ZEPHYR}"]
    command += [f"-DEXTRA_ZEPHYR_MODULES={';'.join(map(str, modules))}"] if modules else []
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.seconds
def test_a_zephyr_module_builds_its_sample(tmp_path: Path) -> None:
    """Against a stand-in for the package; what the sample says is what its sample.yaml waits for."""
    yaml = pytest.importorskip("yaml")
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    end = fixed("loggrad_2p25", SENSOR)
    module = made("zephyr", tmp_path, small(end), name="person", end=end)
    described = yaml.safe_load((module / "zephyr" / "module.yml").read_text())
    assert described["name"] == "person" and described["samples"] == ["samples"]
    sample = module / "samples" / "person_classify"
    told = yaml.safe_load((sample / "sample.yaml").read_text())
    assert told["tests"]["sample.loggrad.person"]["integration_platforms"] == ["native_sim"]
    kconfig = (module / "zephyr" / "Kconfig").read_text()
    assert kconfig.startswith("config LOGGRAD_PERSON\n\tbool ") and "\n\thelp\n\t  " in kconfig
    assert (done := configured(sample)).returncode == 0, done.stderr
    built = subprocess.run(["cmake", "--build", str(sample / "build")], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    said = subprocess.run([str(sample / "build" / "app")], capture_output=True, text=True, timeout=60).stdout
    (expected,) = told["common"]["harness_config"]["regex"]
    assert re.search(expected, said), said


@pytest.mark.seconds
def test_two_zephyr_modules_share_a_library(tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    one, two = (made("zephyr", tmp_path, quantized.serial(), name=name) for name in ("person", "gesture"))
    sample = one / "samples" / "person_classify"
    with (sample / "prj.conf").open("a") as file:
        file.write("CONFIG_LOGGRAD_GESTURE=y\n")
    assert (done := configured(sample, two)).returncode == 0, done.stderr
    built = subprocess.run(["cmake", "--build", str(sample / "build")], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    symbols = subprocess.run(["nm", str(sample / "build" / "app")], capture_output=True, text=True).stdout
    assert " T gesture_push_row" in symbols and symbols.count(" T lg_map_pad") == 1


def test_titles_cannot_break_a_manifest(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    model = write_model(tmp_path, quantized.serial()).rename(tmp_path / 'a: "b"\n- é #.tflite')
    files = firmware.make(model, "host", Options(1, form="zephyr")).files
    told = yaml.safe_load(files["samples/net_classify/sample.yaml"])
    assert told["sample"]["description"].startswith('a: "b"?- ? #.tflite: int8 tensor')
    properties = firmware.make(model, "host", Options(1, form="arduino")).files["library.properties"].decode()
    assert all(re.match(r"[a-z_]+=", line) for line in properties.splitlines())


@pytest.mark.parametrize("form", forms.FORMS[1:])
def test_a_library_is_no_project_of_ours(form: str, tmp_path: Path) -> None:
    library = made(form, tmp_path, quantized.serial())
    with pytest.raises(project.FirmwareError, match=f"a library for {form}, which is built there"):
        project.load(library)
    model = tmp_path / "net.model" / "model.tflite"
    with pytest.raises(LogGradError, match=f"holds a {form} of board host .*, a project: give --replace"):
        firmware.write(firmware.make(model, "host", Options(1)), library)
    firmware.write(firmware.make(model, "host", Options(1, form=form)), library)


def test_what_a_sample_says_it_classifies(tmp_path: Path) -> None:
    library = made("zephyr", tmp_path, quantized.serial(), name="person")
    text = (library / "samples" / "person_classify" / "src" / "frame.h").read_text()
    assert "(random int8 frames (no model.json)), and the scores that TFLite gives it" in text
    plain = forms.frame_header(np.zeros((2, 3), np.uint8), "*/ x", "person")
    assert plain.startswith("/* A test frame (* / x). */\nstatic const person_code frame[PERSON_ROWS")
    assert "scores" not in plain


@pytest.mark.seconds
def test_the_example_runs_without_a_host(tmp_path: Path) -> None:
    made_ = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()))
    subprocess.run(["cmake", "--preset", "host"], cwd=made_.path, check=True, capture_output=True)
    build = ["cmake", "--build", "build", "--target", "example"]
    subprocess.run(build, cwd=made_.path, check=True, capture_output=True)
    image = made_.path / "build" / "example.elf"
    done = subprocess.run([str(image)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and re.fullmatch(r"(class \d\n){3}", done.stdout)
    assert not (made_.path / "build" / "firmware.elf").exists()


@pytest.mark.qemu
@pytest.mark.parametrize("board", ["netduinoplus2", "nucleo-f446re"])
def test_the_example_of_a_chip_sleeps_between_rows(board: str, tmp_path: Path) -> None:
    """It builds for the chip; where QEMU has the board it neither ends nor faults."""
    made_ = generate(tmp_path / "p", write_model(tmp_path, quantized.serial()), board)
    subprocess.run(["cmake", "--preset", board], cwd=made_.path, check=True, capture_output=True)
    build = ["cmake", "--build", "build", "--target", "example"]
    subprocess.run(build, cwd=made_.path, check=True, capture_output=True)
    image = made_.path / "build" / "example.elf"
    listing = ["arm-none-eabi-objdump", "-d", str(image)]
    code = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    assert code.count("\twfi") == 1 and "<port_show>:" in code
    if made_.board["qemu"] is None:
        return
    command = [*link.command(made_)[:-1], str(image)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
        time.sleep(3)
        assert running.poll() is None
        running.kill()


@pytest.mark.qemu
@pytest.mark.seconds
def test_the_example_with_threads_runs_on_stand_ins_for_the_kernel(tmp_path: Path) -> None:
    """On this computer, under sanitizers, and compiled for a chip."""
    model = write_model(tmp_path, quantized.serial())
    firmware.write(firmware.make(model, "host", Options(1, name="person")), tmp_path / "host")
    made_ = project.load(tmp_path / "host")
    sources = [made_.path / "example" / name for name in ("freertos.c", "port_host.c")]
    sources += [
        *(made_.path / "src").glob("*.c"),
        *(made_.path / "lib/src").glob("*.c"),
        FREERTOS / "freertos.c",
    ]
    includes = [f"-I{made_.path / folder}" for folder in ("src", "lib/include", "example")]
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
    image = tmp_path / "threads"
    compile_c(
        ["gcc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-fsanitize=address,undefined", "-pthread", "-Wall"]
        + ["-Werror", *includes, f"-I{FREERTOS}", *map(str, sources), "-o", str(image)]
    )
    done = subprocess.run([str(image)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and re.fullmatch(r"(class \d\n){3}", done.stdout)
    chip = generate(tmp_path / "chip", model, "netduinoplus2")
    includes = [f"-I{chip.path / folder}" for folder in ("src", "lib/include", "example")]
    command = ["arm-none-eabi-gcc", "-std=c99", "-mthumb", "-mcpu=cortex-m4", *warnings, *includes]
    command += [f"-I{FREERTOS}", "-c", str(chip.path / "example/freertos.c"), "-o", str(tmp_path / "chip.o")]
    compile_c(command)
