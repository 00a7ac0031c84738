"use strict";
// Every text is set as text, never as markup; nothing but picture.json is ever asked for.
const TONES = {reached: "good", kept: "good", late: "bad", broken: "bad", lost: "bad", act: "bad", ended: "warn", inject: "warn"};
const minutes = s => [s / 60, s % 60].map(n => String(Math.floor(n)).padStart(2, "0")).join(":");
const put = (id, text) => { const at = document.getElementById(id); at.textContent = text; at.hidden = !text; };

function list(id, rows, none) {
  document.getElementById(id).replaceChildren(...(rows.length ? rows : [[[none, "none"]]]).map(cells => {
    const item = document.createElement("li");
    for (const [text, tone] of cells) {
      const cell = document.createElement("span");
      cell.textContent = text;
      if (tone) cell.className = tone;
      item.append(cell);
    }
    return item;
  }));
}

function when(stake, now) {
  if (stake.state === "reached" || stake.state === "broken") return `${stake.state} ${minutes(stake.at || 0)}`;
  if (stake.state === "late") return `late by ${minutes(now - stake.within)}`;
  return stake.state === "open" && stake.within ? `open, ${minutes(stake.within - now)} left` : stake.state;
}

function draw(p) {
  document.title = p.title;
  put("title", p.title);
  put("clock", p.lasts ? `${minutes(p.seconds)} of ${minutes(p.lasts)}` : "setting the stage");
  put("alert", p.alert);
  put("over", p.over);
  list("stakes", p.stakes.map(s => [[s.id], [when(s, p.seconds), TONES[s.state]], [s.why]]), "nothing");
  list("pods", p.pods.map(o => [[o.name], [o.state + (o.state === "Running" && !o.ready ? ", not ready" : ""), o.ready ? "" : "warn"],
    [{suspect: "under attack", sibling: "of the same workload"}[o.part] || "", o.part === "suspect" ? "bad" : "none"]]), "none");
  list("policies", p.policies.map(o => [[o.name], [o.lets, o.opens ? "bad" : "good"]]), "none");
  list("said", p.said.slice(-40).reverse().map(s => [[minutes(s.at)], [s.kind, TONES[s.kind]], [s.text]]), "nothing yet");
  document.getElementById("team").hidden = !p.roles.length;
  list("roles", p.roles.map(r => [[r.name], [r.who || "nobody", r.who ? "" : "bad"]]), "none");
}

let missed = 0;
async function ask() {
  try {
    const answer = await fetch("picture.json", {cache: "no-store"});
    if (!answer.ok) throw new Error(answer.status);
    draw(await answer.json());
    missed = 0;
  } catch {
    missed += 1;
    if (missed === 4) put("over", "The game is over, or was ended.");
  }
  if (missed < 20) setTimeout(ask, 500);
}
ask();
