"""The page on which people draw, in a real browser (Chromium, by Playwright)."""

import base64
import contextlib
import io
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pix2pix_tf.images import codecs, color, kinds, pixels
from pix2pix_tf.options import PairConfig
from pix2pix_tf.serve import __main__ as serve
from pix2pix_tf.serve.app import Limits, build_app
from pix2pix_tf.serve.models import open_models
from tests import page_server
from tests.conftest import serving, write_image

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
if not CHROMIUM:
    pytest.skip("chromium or google-chrome is missing", allow_module_level=True)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LITERT_JS = Path(os.environ.get("LITERT_JS", serve.LITERT_JS)).expanduser()
LABELS = [
    {"name": "wall", "color": "#0000ff"},
    {"name": "window", "color": "#00aaff"},
    {"name": "door", "color": "#aa0000"},
]
PAIRS = page_server.model("pairs")
LABEL_MAPS = page_server.model("labels", labels=LABELS)
COLORIZATION = page_server.model(
    "colorization",
    size=None,
    is_photograph=True,
    input_channels=1,
    output_channels=2,
)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=ARGUMENTS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def answers():
    return page_server.Answers([PAIRS, LABEL_MAPS, COLORIZATION])


@pytest.fixture
def address(answers):
    with page_server.serving(answers) as address:
        yield address


@contextlib.contextmanager
def opened(browser, url, allowed=(), **context_options):
    """Yields the open page; then all requests must be to its own server, or allowed."""
    context = browser.new_context(**context_options)
    page = context.new_page()
    page.set_default_timeout(10_000)
    requests, faults = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    sync_api.expect(page.locator("#model option").first).to_be_attached()
    yield page
    context.close()
    own = (url.split("?")[0], *allowed, "blob:", "data:")
    assert [one for one in requests if not one.startswith(own)] == []
    assert faults == []


@pytest.fixture
def page(browser, address):
    with opened(browser, address) as page:
        yield page


def read_png(data_url):
    contents = base64.b64decode(data_url.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(contents)))


def canvas_pixels(page):
    """Returns uint8 [height, width, 4] of the drawing."""
    return read_png(page.evaluate("document.getElementById('canvas').toDataURL()"))


def output_pixels(page):
    """Returns uint8 [height, width, 4] of the output that is shown."""
    return read_png(
        page.evaluate(
            """async () => {
                const image = document.getElementById("after");
                await image.decode();
                const canvas = document.createElement("canvas");
                canvas.width = image.naturalWidth;
                canvas.height = image.naturalHeight;
                canvas.getContext("2d").drawImage(image, 0, 0);
                return canvas.toDataURL();
            }"""
        )
    )


def wait_for_output(page, where="server"):
    sync_api.expect(page.locator("#status")).to_contain_text(f" · {where} · ")


def assert_soon(page, is_true):
    """Waits until the page has done what was asked of it."""
    for _ in range(100):
        if is_true():
            return
        page.wait_for_timeout(100)
    assert is_true()


def assert_output_of_drawing(page):
    """Waits until the output is that of the whole drawing."""
    wait_for_output(page)
    inverted = 255 - canvas_pixels(page)[..., :3]
    assert_soon(page, lambda: np.array_equal(output_pixels(page)[..., :3], inverted))


def sent_drawing(page, answers):
    """Waits until the whole drawing was sent; returns it, uint8 [height, width, 4]."""
    wait_for_output(page)
    drawn = canvas_pixels(page)

    def sent():
        return np.asarray(Image.open(io.BytesIO(answers.received[-1])))

    assert_soon(page, lambda: np.array_equal(sent(), drawn))
    return sent()


def drag(page, start, end):
    """Draws with the mouse between two places, in parts of the width and height."""
    box = page.locator("#canvas").bounding_box()

    def at(place):
        return (
            box["x"] + place[0] * box["width"],
            box["y"] + place[1] * box["height"],
        )

    page.mouse.move(*at(start))
    page.mouse.down()
    page.mouse.move(*at(end), steps=4)
    page.mouse.up()


def test_the_output_is_the_servers_for_what_is_drawn(page, answers):
    drag(page, (0.2, 0.2), (0.8, 0.7))
    sent = sent_drawing(page, answers)
    assert sent.shape == (32, 48, 4) and len(np.unique(sent)) > 1
    assert_output_of_drawing(page)
    assert "pairs 1 · server · " in page.inner_text("#status")


def test_the_newest_drawing_wins_and_one_request_is_in_flight(page, answers):
    in_flight, largest, may_answer = [], [], threading.Event()

    def slow(contents):
        in_flight.append(contents)
        largest.append(len(in_flight))
        may_answer.wait(10)
        in_flight.remove(contents)
        return page_server.invert(contents)

    answers.predict = slow
    with page.expect_request("**/*:predict"):
        drag(page, (0.1, 0.1), (0.9, 0.1))
    drag(page, (0.1, 0.5), (0.9, 0.5))
    drag(page, (0.1, 0.9), (0.9, 0.9))
    may_answer.set()
    assert_output_of_drawing(page)
    assert max(largest) == 1 and len(answers.received) == 2


def test_undo_redo_and_clear(page):
    empty = canvas_pixels(page)
    drag(page, (0.2, 0.2), (0.8, 0.2))
    one_line = canvas_pixels(page)
    drag(page, (0.2, 0.8), (0.8, 0.8))
    two_lines = canvas_pixels(page)
    page.click("#undo")
    np.testing.assert_array_equal(canvas_pixels(page), one_line)
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(canvas_pixels(page), empty)
    assert page.is_disabled("#undo")
    page.click("#redo")
    page.keyboard.press("Control+Shift+z")
    np.testing.assert_array_equal(canvas_pixels(page), two_lines)
    page.click("#clear")
    np.testing.assert_array_equal(canvas_pixels(page), empty)
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(canvas_pixels(page), two_lines)
    assert not np.array_equal(one_line, two_lines)


def test_every_tool_draws_in_the_labels_colours_only(page):
    page.select_option("#model", "labels")
    for label in LABELS:
        button = page.get_by_role("button", name=label["name"], exact=True)
        is_pressed = str(label["name"] == "window").lower()
        assert button.get_attribute("aria-pressed") == is_pressed
    drag(page, (0.1, 0.1), (0.9, 0.6))
    page.get_by_role("button", name="door").click()
    page.get_by_role("button", name="Line").click()
    drag(page, (0.9, 0.1), (0.1, 0.8))
    page.get_by_role("button", name="Rectangle").click()
    drag(page, (0.5, 0.5), (0.7, 0.9))
    page.get_by_role("button", name="Eraser").click()
    drag(page, (0.5, 0.5), (0.6, 0.1))
    found = {tuple(one) for one in canvas_pixels(page).reshape(-1, 4).tolist()}
    assert found == {(0, 0, 255, 255), (0, 170, 255, 255), (170, 0, 0, 255)}


def test_a_rectangle_is_filled_from_corner_to_corner(page):
    page.keyboard.press("r")
    drag(page, (0.26, 0.26), (0.74, 0.74))
    expected = np.full([32, 48], 255)
    expected[8:24, 12:36] = 0
    np.testing.assert_array_equal(canvas_pixels(page)[..., 0], expected)


def test_the_keyboard_alone_draws(page, answers):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "model"
    page.keyboard.press("ArrowDown")
    while page.evaluate("document.activeElement.id") != "canvas":
        page.keyboard.press("Tab")
    page.keyboard.press("3")
    page.keyboard.press("[")
    assert page.input_value("#size") == "11"
    page.keyboard.press("l")
    page.keyboard.press("Space")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    drawn = canvas_pixels(page)
    assert drawn[16, 24].tolist() == drawn[16, 19].tolist() == [170, 0, 0, 255]
    assert drawn[0, 0].tolist() == [0, 0, 255, 255]
    assert_output_of_drawing(page)
    while page.evaluate("document.activeElement.id") != "slider":
        page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    style = page.get_attribute("#before", "style")
    assert "--at: 3%" in style
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "labels-output.png"
    assert download.value.path().read_bytes() == answers.predict(answers.received[-1])


def test_escape_takes_back_what_the_pen_did(page):
    empty = canvas_pixels(page)
    page.focus("#canvas")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    assert not np.array_equal(canvas_pixels(page), empty)
    page.keyboard.press("Escape")
    np.testing.assert_array_equal(canvas_pixels(page), empty)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_a_photograph_keeps_its_bytes_and_its_size(page, answers, tmp_path, name):
    Image.open(write_image(tmp_path / "a.png", 91, 61)).save(tmp_path / name)
    photograph = tmp_path / name
    page.select_option("#model", "colorization")
    assert page.is_hidden("#canvas") and page.is_hidden("#tools")
    page.set_input_files("#file", photograph)
    wait_for_output(page)
    assert answers.received == [photograph.read_bytes()]
    assert output_pixels(page).shape == (91, 61, 4)


def test_a_photograph_that_tensorflow_serving_cannot_read_is_sent_as_png(
    browser, address, tmp_path
):
    elsewhere = page_server.Answers([])
    elsewhere.metadata = page_server.metadata([-1, -1, -1, 1], 2)
    photograph = write_image(tmp_path / "a.png", 60, 90)
    Image.open(photograph).save(tmp_path / "a.webp", lossless=True)
    with page_server.serving(elsewhere) as other:
        url = f"{address}?server={other}&model=served"
        with opened(browser, url, allowed=[other]) as page:
            page.set_input_files("#file", tmp_path / "a.webp")
            wait_for_output(page, other)
    sent = Image.open(io.BytesIO(elsewhere.received[0]))
    assert sent.format == "PNG"
    np.testing.assert_array_equal(sent.convert("RGB"), Image.open(photograph))


@pytest.mark.parametrize("how", ["dropped", "pasted"])
def test_an_image_is_scaled_onto_the_drawing_as_the_server_scales(page, tmp_path, how):
    image = write_image(tmp_path / "a.png", 77, 61)
    transfer = page.evaluate_handle(
        """text => {
            const bytes = Uint8Array.from(atob(text), one => one.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "a.png", {type: "image/png"}));
            return transfer;
        }""",
        base64.b64encode(image.read_bytes()).decode(),
    )
    if how == "dropped":
        page.dispatch_event("#canvas", "drop", {"dataTransfer": transfer})
    else:
        page.evaluate(
            """clipboardData => document.body.dispatchEvent(
                new ClipboardEvent("paste", {clipboardData, bubbles: true}))""",
            transfer,
        )
    wait_for_output(page)
    scaled = pixels.resize_area(
        tf.cast(pixels.decode(tf.io.read_file(str(image))), tf.float32), (32, 48)
    )
    # Half a level of rounding.
    np.testing.assert_allclose(canvas_pixels(page)[..., :3], scaled, atol=0.51)
    page.keyboard.press("Control+z")
    assert (canvas_pixels(page) == 255).all()


def test_something_else_than_an_image_is_refused(page, tmp_path):
    page.select_option("#model", "colorization")
    (tmp_path / "a.png").write_text("no image")
    page.set_input_files("#file", tmp_path / "a.png")
    alert = page.get_by_role("alert")
    sync_api.expect(alert).to_contain_text("a.png is not an image")
    text = page.evaluate_handle("new DataTransfer()")
    page.dispatch_event("#photograph", "drop", {"dataTransfer": text})
    sync_api.expect(alert).to_contain_text("What was dropped is not an image")


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_transparent_models_get_drawings_of_their_kind(
    browser, address, answers, tmp_path, channels
):
    answers.models = [page_server.model("other", input_channels=channels)]
    with opened(browser, address) as page:
        page.set_input_files("#file", write_image(tmp_path / "a.png", 32, 48))
        page.keyboard.press("e")
        page.keyboard.press("]")
        drag(page, (0.1, 0.5), (0.9, 0.5))
        sent = sent_drawing(page, answers)
    if channels == 1:
        np.testing.assert_array_equal(sent[..., 0], sent[..., 1])
        np.testing.assert_array_equal(sent[..., 0], sent[..., 2])
    assert sent[16, 24, 3] == (255 if channels == 1 else 0)
    assert sent[0, 0, 3] == 255


@pytest.mark.parametrize("name", ["labels", "colorization"])
def test_a_phone_scrolls_in_one_direction_only(browser, address, answers, name):
    answers.models[1] = page_server.model("labels", labels=LABELS * 4)
    size = {"width": 360, "height": 740}
    with opened(browser, address, viewport=size, has_touch=True) as page:
        page.select_option("#model", name)
        width = page.evaluate("document.documentElement.scrollWidth")
        tops = [page.locator(one).bounding_box()["y"] for one in ("#file", "#compare")]
    assert width <= 360
    assert tops[0] < tops[1]  # one column


def test_a_finger_draws_and_does_not_scroll(browser, address):
    phone = {"width": 360, "height": 500}
    with opened(browser, address, viewport=phone, has_touch=True) as page:
        box = page.locator("#canvas").bounding_box()
        touch = page.context.new_cdp_session(page)
        places = [box["y"] + box["height"] * part for part in (0.9, 0.7, 0.5, 0.3, 0.1)]
        for number, y in enumerate(places):
            kind = "touchMove" if number else "touchStart"
            point = {"x": box["x"] + box["width"] / 2, "y": y}
            touch.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]}
            )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert (canvas_pixels(page)[5:27, 24, 0] == 0).all()
        assert page.evaluate("scrollY") == 0
        assert_output_of_drawing(page)


def test_an_error_of_the_server_is_shown_and_goes_away(page, answers):
    answers.failures = [(400, {"error": "The image is <b>too large</b>."})]
    drag(page, (0.1, 0.1), (0.9, 0.1))
    alert = page.get_by_role("alert")
    sync_api.expect(alert).to_have_text("The image is <b>too large</b>.")
    drag(page, (0.1, 0.5), (0.9, 0.5))
    wait_for_output(page)
    sync_api.expect(alert).to_be_hidden()


def test_a_busy_server_is_asked_again(page, answers):
    answers.failures = [(503, {"error": "Busy."})] * 2
    drag(page, (0.1, 0.1), (0.9, 0.1))
    sync_api.expect(page.locator("#status")).to_contain_text("busy")
    assert_output_of_drawing(page)
    assert len(answers.received) >= 3
    assert page.get_by_role("alert").is_hidden()


def test_a_server_that_is_gone_is_told(page):
    page.route("**/*:predict", lambda route: route.abort())
    drag(page, (0.1, 0.1), (0.9, 0.1))
    sync_api.expect(page.get_by_role("alert")).to_contain_text("does not answer")


def test_the_output_of_one_model_is_not_shown_for_another(page):
    drag(page, (0.1, 0.1), (0.9, 0.1))
    wait_for_output(page)
    page.select_option("#model", "labels")
    assert page.is_hidden("#after") and page.is_hidden("#download")
    assert page.inner_text("#status") == ""


@pytest.mark.parametrize("is_colorization", [False, True])
def test_a_tensorflow_serving_elsewhere_is_asked_instead(
    browser, address, tmp_path, is_colorization
):
    elsewhere = page_server.Answers([])
    if is_colorization:
        elsewhere.metadata = page_server.metadata([-1, -1, -1, 1], 2)
    photograph = write_image(tmp_path / "a.jpg", 60, 90)
    with page_server.serving(elsewhere) as other:
        url = f"{address}?server={other}&model=served"
        with opened(browser, url, allowed=[other]) as page:
            if is_colorization:
                page.set_input_files("#file", photograph)
            else:
                drag(page, (0.1, 0.1), (0.9, 0.1))
            wait_for_output(page, other)
            assert page.inner_text("#status").startswith("served 7 · ")
            shape = output_pixels(page).shape
            assert shape[:2] == ((60, 90) if is_colorization else (32, 48))
    assert len(elsewhere.received) == 1


@pytest.mark.parametrize(
    "query, words",
    [
        ("?server=http://127.0.0.1:9/&model=a", "--rest_api_enable_cors_support"),
        ("?server=http://127.0.0.1:9/", "add &model=NAME"),
        ("?server=javascript:1", "such as http://localhost:8501"),
    ],
)
def test_a_wrong_address_of_a_server_is_told(browser, address, query, words):
    context = browser.new_context()
    page = context.new_page()
    page.goto(address + query)
    sync_api.expect(page.get_by_role("alert")).to_contain_text(words)
    context.close()


def test_colours_are_converted_as_in_python(page):
    rng = np.random.default_rng(0)
    levels = np.concatenate([rng.integers(0, 256, [50, 3]), 255 * np.eye(3, dtype=int)])
    levels = np.concatenate([levels, [[0] * 3, [1] * 3, [10] * 3, [11] * 3]])  # knees
    got = page.evaluate(
        """async colors => {
            const {levelsToLab, labToRgb} = await import("./color.js");
            const lab = colors.map(levels => levelsToLab(...levels));
            return [lab, lab.map(labToRgb)];
        }""",
        levels.tolist(),
    )
    lab = color.rgb_to_lab(tf.constant(levels / 255, tf.float32))
    # float32 on the one side, float64 on the other.
    np.testing.assert_allclose(got[0], lab, atol=2e-4)
    np.testing.assert_allclose(got[1], color.lab_to_rgb(lab), atol=2e-5)


def write_network(path, size, channels):
    """Writes a LiteRT file of one convolution; returns the function in it."""
    kernel = np.random.default_rng(0).normal(0, 0.4, [3, 3, *channels])
    shape = [1, *size, channels[0]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="inputs")])
    def generate(inputs):
        kernels = tf.constant(kernel, tf.float32)
        return {"outputs": tf.tanh(tf.nn.conv2d(inputs, kernels, 1, "SAME"))}

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [generate.get_concrete_function()], tf.Module()
    )
    path.write_bytes(converter.convert())
    return lambda inputs: generate(inputs)["outputs"]


@pytest.mark.skipif(
    not LITERT_JS.exists(),
    reason=f"{LITERT_JS} of npm is missing: see CONTRIBUTING.md",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converter
@pytest.mark.parametrize(
    "pair",
    [
        PairConfig(),
        PairConfig(input_channels=1, target_channels=4),
        PairConfig(lab_colorization=True),
        PairConfig(lab_colorization=True, which_direction="BtoA"),
    ],
    ids=["pairs", "gray to transparent", "colorization", "its direction BtoA"],
)
def test_a_model_in_the_browser_computes_the_same_and_sends_nothing(
    browser, address, answers, tmp_path, pair
):
    kind = kinds.kind_of(pair, inputs_only=True)
    generate = write_network(tmp_path / "model_float32.tflite", (32, 48), pair.channels)
    answers.folders = {"/litert": LITERT_JS, "/models/here": tmp_path}
    answers.models = [
        page_server.model(
            "here",
            is_photograph=kind.is_photograph,
            input_channels=pair.channels[0],
            output_channels=pair.channels[1],
            litert=["models/here/model_float32.tflite"],
        )
    ]
    path = write_image(tmp_path / "a.png", 77, 61)
    with opened(browser, address) as page:
        page.select_option("#place", index=1)
        page.set_input_files("#file", path)
        wait_for_output(page, "this browser, LiteRT")
        output = output_pixels(page)
    assert answers.received == []

    [channels] = kind.image_channels
    [inputs] = kind.to_tensors(tf.constant(codecs.read(path, channels)))
    inputs = pixels.resize_area(inputs, (32, 48))[tf.newaxis]
    wanted = pixels.to_uint8(kind.to_output_images(inputs, generate(inputs))[0])
    # The drawing rounds the scaled image to levels, and an alpha rounds the colours.
    is_transparent = wanted.shape[-1] == 4
    wanted = wanted.numpy().astype(int)
    got = output[..., : wanted.shape[-1]]
    if is_transparent:
        np.testing.assert_allclose(got[..., 3], wanted[..., 3], atol=2)
        got, wanted = (one[..., :3] * (one[..., 3:] / 255.0) for one in (got, wanted))
    np.testing.assert_allclose(got, wanted, atol=3)
    assert np.std(wanted) > 10


@pytest.fixture
def real_address(exported_dir):
    """The address of `pix2pix-tf serve` with a tiny model, facades."""
    limits = Limits(max_body=10**6, max_pixels=10**4, max_waiting=2)
    litert_js = LITERT_JS if LITERT_JS.exists() else None
    with serving(build_app(open_models([exported_dir]), limits, litert_js)) as address:
        yield f"{address}/"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the export
def test_the_server_of_this_project_draws(browser, real_address, exported_dir):
    generate = tf.saved_model.load(str(exported_dir)).signatures["generate"]

    def is_output():
        inputs = canvas_pixels(page)[np.newaxis, ..., :3] / 127.5 - 1
        outputs = generate(inputs=tf.constant(inputs, tf.float32))["outputs"]
        wanted = pixels.to_uint8(pixels.deprocess(outputs[0])).numpy().astype(int)
        # Its generator computes in another order than the SavedModel's.
        return np.abs(output_pixels(page)[..., :3] - wanted).max() <= 1

    with opened(browser, real_address) as page:
        drag(page, (0.2, 0.2), (0.8, 0.7))
        wait_for_output(page)
        assert_soon(page, is_output)
        if LITERT_JS.exists():
            page.select_option("#place", label="this browser (LiteRT, float32)")
            wait_for_output(page, "this browser, LiteRT")
            assert_soon(page, is_output)
