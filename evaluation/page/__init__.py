"""Pages to look at: one HTML file each, with style, scripts and data inside; it opens from the disk and loads nothing.

A page is data. The records of `evaluation.page.parts` hold it, one kind for each way of showing: `Text`, `Figures`,
`Bars`, `Lines`, `Histogram`, `Matrix`, `Table`, `Gallery`, and `Beside`, which puts parts side by side. Sections put
a heading above parts, and `write_page` puts the sections into `template.html` as JSON. In the browser `shell.js` reads
it and calls, for each part, the function of its kind: `draw.Bars` in `charts.js` draws a `Bars`.

    page = Page(
        title="Frame-mAP of detections.csv",
        subtitle="AVA 2.2, IoU 0.5",
        sections=[
            Section("Average precision", [Figures([Figure("mAP", "0.287", "0.271 to 0.301")])]),
            Section("Each action", [Beside([Bars(names, [Series(ap)]), Lines(curves, "recall", "precision")])]),
        ],
    )
    write_page("report.html", page)

A new way of showing is a record of `Part` that names its script, and a function `draw.NAME` there, which makes nodes
with `el` and `svg`. Names are set as text and never as HTML; a content security policy lets no other script run. Colors
are the variables of `page.css`, which are right in the light and in the dark: `color(0)` to `color(9)`.
"""

from evaluation.page.parts import Bars as Bars
from evaluation.page.parts import Beside as Beside
from evaluation.page.parts import Figure as Figure
from evaluation.page.parts import Figures as Figures
from evaluation.page.parts import Gallery as Gallery
from evaluation.page.parts import Histogram as Histogram
from evaluation.page.parts import Line as Line
from evaluation.page.parts import Lines as Lines
from evaluation.page.parts import Matrix as Matrix
from evaluation.page.parts import Part as Part
from evaluation.page.parts import Picture as Picture
from evaluation.page.parts import Series as Series
from evaluation.page.parts import Table as Table
from evaluation.page.parts import Text as Text
from evaluation.page.parts import jpeg_address as jpeg_address
from evaluation.page.writing import Page as Page
from evaluation.page.writing import Section as Section
from evaluation.page.writing import page_html as page_html
from evaluation.page.writing import page_json as page_json
from evaluation.page.writing import write_page as write_page
