// A list that keeps only its visible rows in the page, so that thousands scroll as easily as ten.

const ROW = 56; // height of a row in CSS pixels, as in page.css

/**
 * @param box the scrolling element, a listbox
 * @param content (item, index) -> the children of its row
 * @param choose called with the item that the reader selects
 */
function virtualList(box, content, choose) {
  const list = { items: [], current: -1 };
  const inner = element("div", { role: "presentation" });
  box.replaceChildren(inner);

  const draw = () => {
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 5);
    const last = Math.min(list.items.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 5);
    inner.replaceChildren(...list.items.slice(first, last).map((item, i) => row(item, first + i)));
    const active = list.current >= first && list.current < last;
    if (active) box.setAttribute("aria-activedescendant", `row-${list.current}`);
    else box.removeAttribute("aria-activedescendant");
  };
  const row = (item, place) => {
    const made = element("div", { role: "option", id: `row-${place}`, class: "row",
      "aria-selected": String(place === list.current), "aria-posinset": place + 1,
      "aria-setsize": list.items.length, click: () => list.go(place) }, ...content(item, place));
    made.style.top = `${place * ROW}px`;
    return made;
  };

  list.show = (items) => {
    list.items = items;
    inner.style.height = `${items.length * ROW}px`;
    box.scrollTop = 0;
    list.current = -1;
    if (items.length) list.go(0);
    else draw();
  };
  list.go = (place) => {
    list.current = Math.max(0, Math.min(list.items.length - 1, place));
    const [top, bottom] = [list.current * ROW, (list.current + 1) * ROW];
    if (top < box.scrollTop) box.scrollTop = top;
    if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
    draw();
    choose(list.items[list.current]);
  };
  box.addEventListener("scroll", draw);
  box.addEventListener("keydown", (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / ROW) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page,
      Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || !list.items.length) return;
    event.preventDefault();
    list.go(list.current + by);
  });
  new ResizeObserver(draw).observe(box);
  return list;
}
