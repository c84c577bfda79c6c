"""The dashboard in a headless Chromium, on a real Kafka and a real MongoDB.

    scripts/test browser [TEST…]

What a page shows is compared with what MongoDB holds; it is left open while events come,
a window closes, a broker dies and returns, and the pipeline itself is killed.
`TIDEMARK_SCREENSHOTS=DIR` keeps pictures of what was seen.
"""

import os
import pathlib
import subprocess
import unittest
from collections import defaultdict
from decimal import Decimal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

from shop import PATIENCE, Shop, acknowledged, eventually, services

EVIL = b"<script>alert(1)</script>"
WIDTHS = (360, 1280, 2560)
PAGES = ("/?span=all", "/pipeline", "/pipeline/dead-letters", "/pipeline/dataflow",
         "/pipeline/why/sales_analysis/latest")

expect.set_options(timeout=PATIENCE * 1000)


def number(text):
    """A number as the pages write it."""
    return Decimal(text.replace(",", ""))


def plain(value):
    return value.to_decimal() if hasattr(value, "to_decimal") else Decimal(value)


class Browsed(unittest.TestCase):
    """A shop with a pipeline, and a page that must not complain."""

    arguments = ("--epoch", "50ms")
    events = ("--count", "300", "--seed", "3", "--start", "2026-11-24T09:00:00", "--late", "0.3",
              "--partitions", "2", "--replication", "2")

    @classmethod
    def setUpClass(cls):
        cls.shop = Shop(cls.__name__.lower(), *cls.arguments)
        cls.addClassCleanup(cls.shop.close)
        cls.sent = cls.shop.generate(*cls.events)
        cls.shop.start()
        cls.shop.caught_up(cls.sent)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        cls.addClassCleanup(cls.browser.close)

    def open(self, path, width=1280, scheme="light"):
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.addCleanup(context.close)
        page = context.new_page()
        self.problems = []
        page.on("console", lambda said: self.note(said))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.foreign(request.url))
        page.goto(self.shop.url + path)
        return page

    def note(self, said):
        # That nobody answers is said by the browser itself, and is what some tests want.
        if said.type in ("error", "warning") and "net::ERR" not in said.text:
            self.problems.append(said.text)

    def foreign(self, url):
        if not url.startswith((self.shop.url, "data:")):
            self.problems.append(f"it asks {url}")

    def picture(self, page, name):
        folder = os.environ.get("TIDEMARK_SCREENSHOTS")
        if folder:
            page.screenshot(path=pathlib.Path(folder) / f"{name}.png", full_page=True)

    def tearDown(self):
        self.assertEqual(getattr(self, "problems", []), [])

    # What a table says: by window and column.
    def table(self, page, chart):
        box = page.locator(f"#{chart} [data-keep={chart}-table]")
        rows = box.locator("tr").all()
        titles = [title.text_content() for title in rows[0].locator("th").all()][2:]
        found = {}
        for row in rows[1:]:
            window, state, *values = [cell.text_content() for cell in row.locator("th, td").all()]
            for title, value in zip(titles, values):
                if value != "–":
                    found[window, title] = (number(value), state == "final")
        return found

    # The same as MongoDB has it.
    def sums(self, view, window, group, field):
        found = defaultdict(lambda: [Decimal(0), True])
        for row in self.shop.database[view].find({}):
            start = row["window"]["start"] if window == "window.start" else row[window]
            key = start.strftime("%Y-%m-%dT%H:%M:%SZ"), row[group]
            found[key][0] += plain(row[field])
            found[key][1] = found[key][1] and row["final"]
        return {key: tuple(value) for key, value in found.items()}

    CHARTS = {
        "revenue": ("revenue_analysis", "window_start", "category", "revenue"),
        "customers": ("customer_analysis", "window.start", "gender", "unique_customers"),
        "interactions": ("interaction_analysis", "window_start", "interaction_type", "total_interactions"),
        "logs": ("log_analysis", "window_start", "level", "total_logs"),
    }

    def agrees(self, page, chart):
        shown, held = self.table(page, chart), self.sums(*self.CHARTS[chart])
        return bool(held) and shown == held


class ShopPage(Browsed):
    arguments = (*Browsed.arguments, "--idle-timeout", "1h")

    def test_what_it_shows_is_what_mongodb_holds(self):
        page = self.open("/?span=all")
        for chart in self.CHARTS:
            eventually(f"{chart} agrees", lambda: self.agrees(page, chart))
        for chart, view, field in (
            ("sold", "sales_analysis", "total_quantity_sold"),
            ("viewed", "product_views_analysis", "total_views"),
        ):
            held = defaultdict(int)
            for row in self.shop.database[view].find({}):
                held[row["product_id"]] += row[field]
            def named():
                rows = page.locator(f"#{chart} tbody tr").all()
                return [(r.locator("th").get_attribute("title"), r.locator("th").text_content(),
                         int(number(r.locator("td").first.text_content()))) for r in rows]
            rows = eventually("names", lambda: (found := named()) and all(r[0] for r in found) and found)
            self.assertEqual([row[2] for row in rows], sorted(held.values(), reverse=True)[:20])
            for product, name, pieces in rows:
                self.assertEqual(held[product], pieces)
                self.assertNotIn(product, name)
        self.picture(page, "shop")

    def test_it_follows_what_comes_and_a_window_that_closes(self):
        page = self.open("/?span=all")
        page.evaluate("window.isTheSame = true")
        states = lambda: {final for _, final in self.table(page, "logs").values()}
        eventually("some windows are open", lambda: False in states())
        # Hours later, so that those of before are over.
        before = {key for key in self.table(page, "logs") if key[0] < "2026-11-24T12"}
        self.assertTrue(before)
        later = self.shop.generate("--count", "100", "--seed", "4", "--start", "2026-11-24T15:00:00")
        type(self).sent += later
        eventually("it has the new ones", lambda: self.agrees(page, "logs"))
        eventually("those of before are final", lambda: all(
            self.table(page, "logs")[key][1] for key in before) and self.agrees(page, "logs"))
        self.assertIn(False, states(), "the newest are open")
        self.assertTrue(page.evaluate("window.isTheSame"), "it was not loaded again")

    def test_a_product_with_an_evil_name_does_no_harm(self):
        product = b'{"product_id": "evil", "name": "%s", "category": "%s", "price": 1.0, "stock_quantity": 1}'
        self.shop.send("products", product % (EVIL, EVIL))
        sale = (b'{"transaction_id": "evil", "customer_id": "%s", "product_id": "evil", "quantity": 9999999,'
                b' "date_time": "2026-11-24T15:00:00", "status": "completed"}')
        self.shop.send("transactions", sale % EVIL)
        page = self.open("/?span=all")
        expect(page.locator("#sold tbody th").first).to_have_text(EVIL.decode())
        # tearDown would tell of a dialog, or of a script that the page's rules have refused.

    def test_keys_are_enough(self):
        page = self.open("/")
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.className"), "skip")
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            text = page.evaluate("document.activeElement.textContent.trim()")
            reached.append(text)
            if text == "As a table":
                break
        for wanted in ("Shop", "Pipeline", "7d", "Show", "As a table"):
            self.assertIn(wanted, reached)
        details = page.locator("#revenue [data-keep=revenue-table]")
        page.keyboard.press("Enter")
        expect(details).to_have_attribute("open", "")
        page.get_by_role("link", name="all", exact=True).focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/?span=all*")

    def test_focus_and_open_tables_survive_updates(self):
        page = self.open("/?span=all")
        page.locator("#logs summary").first.click()
        link = page.locator("#logs").get_by_role("link", name="CSV")
        link.focus()
        old = page.locator("#logs").inner_html()
        type(self).sent += self.shop.generate("--count", "20", "--start", "2026-11-24T15:01:00")
        eventually("it has changed", lambda: page.locator("#logs").inner_html() != old)
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "CSV")
        expect(page.locator("#logs [data-keep=logs-table]")).to_have_attribute("open", "")


class EveryPage(Browsed):
    events = (*Browsed.events, "--malformed", "0.05")

    def test_it_fits(self):
        for path in PAGES:
            for width in WIDTHS:
                page = self.open(path, width)
                with self.subTest(path=path, width=width):
                    wide = page.evaluate("document.scrollingElement.scrollWidth")
                    self.assertLessEqual(wide, width)
                self.picture(page, f"{path.split('/')[-1].split('?')[0] or 'shop'}-{width}")

    def test_nobody_is_left_out(self):
        for path in PAGES:
            for scheme in ("light", "dark"):
                page = self.open(path, scheme=scheme)
                if path in ("/?span=all", "/pipeline"):
                    expect(page.locator("canvas").first).to_be_visible()
                with self.subTest(path=path, scheme=scheme):
                    found = Axe().run(page).response["violations"]
                    told = [(v["id"], [node["html"][:120] for node in v["nodes"][:3]]) for v in found]
                    self.assertEqual(told, [])

    def test_it_is_dark_where_that_is_wanted(self):
        back = "getComputedStyle(document.body).backgroundColor"
        light = self.open("/pipeline").evaluate(back)
        self.assertNotEqual(light, self.open("/pipeline", scheme="dark").evaluate(back))


class PipelinePage(Browsed):
    arguments = (*Browsed.arguments, "--checkpoint", "state")

    def read(self, page):
        """Messages read, as the table of topics says."""
        cells = page.locator("#topics tbody tr td:nth-child(2)").all()
        return sum(number(cell.text_content()) for cell in cells)

    def test_it_counts_what_was_sent(self):
        page = self.open("/pipeline")
        eventually("all is counted", lambda: self.read(page) == self.sent)
        self.picture(page, "pipeline")

    def test_why_a_window_is_open(self):
        page = self.open("/pipeline")
        page.locator("#views tr", has_text="sales_analysis").get_by_role("link").click()
        expect(page.locator("main")).to_contain_text("It is final when every partition")
        self.picture(page, "why")

    def test_dead_letters_are_read(self):
        raw = b'{"log_id": "<b>", "level": \xff}'
        self.shop.send("system_logs", raw)
        type(self).sent += 1
        page = self.open("/pipeline")
        eventually("it is counted", lambda: self.shop.database.dead_letters.count_documents(
            {"reason": "malformed"}) == 1)
        page.locator('a[href="/pipeline/dead-letters"]').click()
        page.get_by_label("reason").select_option("malformed")
        page.get_by_role("button", name="Show").click()
        row = page.locator("tbody tr")
        expect(row).to_have_count(1)
        row.locator("summary").click()
        expect(row.locator("pre")).to_contain_text('{"log_id": "<b>", "level": \\xff}')
        with page.expect_download() as download:
            row.get_by_role("link").click()
        self.assertEqual(pathlib.Path(download.value.path()).read_bytes(), raw)
        self.picture(page, "dead-letters")

    def test_it_says_when_the_pipeline_is_gone_and_comes_back(self):
        page = self.open("/pipeline")
        line = page.locator("#connection")
        expect(line).to_be_hidden()
        self.shop.kill()
        expect(line).to_be_visible()
        expect(line).to_contain_text("does not answer")
        self.shop.start()
        expect(line).to_be_hidden()
        more = self.shop.generate("--count", "10", "--start", "2026-11-24T09:00:01")
        type(self).sent += more
        # It counts from its own start: what comes after the checkpoint, at least these.
        eventually("it counts again", lambda: self.read(page) >= more)

    def test_a_broker_dies_and_returns(self):
        page = self.open("/pipeline")
        eventually("it shows something", lambda: self.read(page) > 0)
        before = self.read(page)
        running = self.shop.generator("--rate", "200", "--count", "400", stdout=subprocess.PIPE)
        try:
            eventually("events come", lambda: self.read(page) > before)
            services("kill", "kafka-2")
            expect(page.locator("#connection")).to_be_hidden()
        finally:
            services("start", "kafka-2")
        type(self).sent += acknowledged(running)
        lag = page.locator("#now div", has_text="Not read yet").locator("dd")
        eventually("all is read", lambda: number(lag.text_content()) == 0)
        self.assertGreater(self.read(page), before + 1_000)


class Busy(Browsed):
    """Some sixty writes a second, over more than ten thousand rows."""

    arguments = ("--epoch", "16ms")
    events = ("--count", "9000", "--seed", "5", "--times", "spread", "--partitions", "2")

    def test_it_holds_still(self):
        rows = sum(self.shop.database[view].estimated_document_count()
                   for view in self.shop.database.list_collection_names())
        self.assertGreater(rows, 10_000)
        running = self.shop.generator("--rate", "1000")
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        for path in ("/?span=all", "/pipeline"):
            page = self.open(path)
            expect(page.locator("canvas").first).to_be_visible()
            # What the first update brings may still take its place.
            page.evaluate("""() => new Promise((done) => {
                let updates = 0;
                const seen = new MutationObserver(() => (updates += 1) > 2 && (seen.disconnect(), done()));
                seen.observe(document.querySelector('main'), {subtree: true, childList: true});
            })""")
            page.evaluate("""() => {
                window.scrollTo(0, 300);
                window.shift = 0;
                window.updates = 0;
                new PerformanceObserver((list) => list.getEntries().forEach((entry) => {
                    if (!entry.hadRecentInput) window.shift += entry.value;
                })).observe({type: 'layout-shift'});
                new MutationObserver(() => { window.updates += 1; })
                    .observe(document.querySelector('main'), {subtree: true, childList: true});
            }""")
            eventually("it is updated", lambda: page.evaluate("window.updates") >= 5)
            with self.subTest(path=path):
                self.assertLess(page.evaluate("window.shift"), 0.02)
                self.assertEqual(page.evaluate("window.scrollY"), 300)


if __name__ == "__main__":
    unittest.main(verbosity=2)
