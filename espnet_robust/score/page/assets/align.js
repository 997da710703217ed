// Align the words of a hypothesis with those of the reference.

const wordsOf = (text) => text.normalize("NFC").split(/[ \t\n\v\f\r]+/).filter(Boolean);

/**
 * The shortest alignment, as [kind, reference word, hypothesis word]; kinds: same, sub, ins, del.
 * If several are equally short, scoring may have used another, with other numbers of each kind.
 */
function align(ref, hyp) {
  const width = hyp.length + 1;
  const cost = new Uint32Array((ref.length + 1) * width);
  for (let j = 1; j < width; j++) cost[j] = j;
  for (let i = 1; i <= ref.length; i++) {
    cost[i * width] = i;
    for (let j = 1; j < width; j++) {
      const at = i * width + j;
      const diagonal = cost[at - width - 1] + (ref[i - 1] === hyp[j - 1] ? 0 : 1);
      cost[at] = Math.min(diagonal, cost[at - width] + 1, cost[at - 1] + 1);
    }
  }
  const edits = [];
  let [i, j] = [ref.length, hyp.length];
  while (i || j) {
    const at = i * width + j;
    const same = i && j && ref[i - 1] === hyp[j - 1];
    if (i && j && cost[at] === cost[at - width - 1] + (same ? 0 : 1)) {
      edits.push([same ? "same" : "sub", ref[--i], hyp[--j]]);
    } else if (i && cost[at] === cost[at - width] + 1) {
      edits.push(["del", ref[--i], null]);
    } else {
      edits.push(["ins", null, hyp[--j]]);
    }
  }
  return edits.reverse();
}

/** The words of a hypothesis as elements; errors are marked by shape and colour. */
function marked(ref, hyp) {
  const said = { sub: "for", ins: "inserted", del: "deleted" };
  return align(wordsOf(ref), wordsOf(hyp)).flatMap(([kind, was, is]) => {
    const hidden = element("span", { class: "unseen" }, ` (${said[kind]}${was && is ? ` ${was}` : ""})`);
    if (kind === "same") return [is, " "];
    if (kind === "del") return [element("del", {}, was, hidden), " "];
    if (kind === "ins") return [element("ins", {}, is, hidden), " "];
    return [element("mark", { title: `instead of ${was}` }, is, hidden), " "];
  });
}
