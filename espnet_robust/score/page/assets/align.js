// Align the words of a hypothesis with those of the reference.

const wordsOf = (text) => text.split(/[ \t\n\v\f\r]+/).filter(Boolean);

/**
 * The alignment that was scored, as in alignment.py: [kind, reference word, hypothesis word] in
 * order; kinds: same, sub, ins, del.
 *
 * @param costs of an insertion or deletion, and of a substitution
 */
function align(ref, hyp, [indel, sub]) {
  const width = hyp.length + 1;
  const cost = new Float64Array((ref.length + 1) * width);
  for (let j = 1; j < width; j++) cost[j] = j * indel;
  for (let i = 1; i <= ref.length; i++) {
    cost[i * width] = i * indel;
    for (let j = 1; j < width; j++) {
      const at = i * width + j;
      const diagonal = cost[at - width - 1] + (ref[i - 1] === hyp[j - 1] ? 0 : sub);
      cost[at] = Math.min(diagonal, cost[at - width] + indel, cost[at - 1] + indel);
    }
  }
  const edits = [];
  let [i, j] = [ref.length, hyp.length];
  while (i || j) {
    const at = i * width + j;
    const same = i && j && ref[i - 1] === hyp[j - 1];
    if (i && j && cost[at] === cost[at - width - 1] + (same ? 0 : sub)) {
      edits.push([same ? "same" : "sub", ref[--i], hyp[--j]]);
    } else if (j && cost[at] === cost[at - 1] + indel) {
      edits.push(["ins", null, hyp[--j]]);
    } else {
      edits.push(["del", ref[--i], null]);
    }
  }
  return edits.reverse();
}

/** The words of a hypothesis as elements; errors are marked by shape and colour. */
function marked(ref, hyp) {
  const said = { sub: "for", ins: "inserted", del: "deleted" };
  return align(wordsOf(ref), wordsOf(hyp), state.head.alignment).flatMap(([kind, was, is]) => {
    const hidden = element("span", { class: "unseen" }, ` (${said[kind]}${was && is ? ` ${was}` : ""})`);
    if (kind === "same") return [is, " "];
    if (kind === "del") return [element("del", {}, was, hidden), " "];
    if (kind === "ins") return [element("ins", {}, is, hidden), " "];
    return [element("mark", { title: `instead of ${was}` }, is, hidden), " "];
  });
}
