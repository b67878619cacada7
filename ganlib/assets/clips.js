function roll() {  // clips: what is shown and how it moves have noise of their own
  const $ = id => document.getElementById(id), N = COLUMNS * ROWS, T = made.frames, apart = made.content < made.latent_dim;
  canvas.id = "clips"; canvas.style.maxWidth = "30rem";
  const group = '<span class="row" style="margin: 0; flex-wrap: nowrap">';
  $("asking").innerHTML = `
    ${group}<button id="others">New ${apart ? "content" : "clips"}</button><input id="what" type="number" min="0" step="1" value="0" title="seed">
    <label id="same"><input id="one" type="checkbox"> one for all</label></span>
    <span id="apart">${group}<button id="paths">New path</button><input id="how" type="number" min="0" step="1" value="0" title="seed of the path">
    <label><input id="way" type="checkbox"> one for all</label></span></span>`;
  const rest = document.createElement("div");
  rest.className = "row";
  rest.innerHTML = `
    <button id="playing">Pause</button>
    <label>time <input id="time" type="range" min="0" max="${T - 1}" value="0" step="${made.timed ? 0.05 : 1}"></label>
    <span id="timed"><label>speed <input id="speed" type="range" min="0.1" max="1" step="0.1" value="1"></label>
    <label><input id="on" type="checkbox"> go on beyond the last frame</label></span>`;
  rest.append(said);
  $("asking").after(rest);
  $("apart").hidden = $("same").hidden = !apart; $("timed").hidden = !made.timed;
  $("about").textContent = "Each clip is the generator's answer to random numbers of its own, computed in this page, frame by frame; nothing is sent " +
    "anywhere. The same seeds draw the same clips." + (made.timed ? ` It was trained on ${T} frames, and can be asked for times between them and beyond.` : "");
  let clips = [], t = 0, last = null, drawn = null, running = true;
  function begin() {  // other noise: nothing that was drawn holds any more
    const what = normal(Number($("what").value) | 0), how = normal((Number($("how").value) | 0) + 0x5EED);
    const take = (draws, n, one) => {
      const rows = Array.from({ length: N }, () => Float32Array.from({ length: n }, draws));
      return one ? rows.map(() => rows[0]) : rows;
    };
    const shown = take(what, made.content, $("one").checked), moved = take(how, made.latent_dim - made.content, $("way").checked);
    clips = shown.map((row, i) => ({ z: Float32Array.from([...row, ...moved[i]]), kept: {} }));
    drawn = null;
  }
  function show(time) {
    if (time === drawn) return;
    const start = performance.now(), size = C * H * W;
    clips.forEach(({ z, kept }, i) => paint(made.timed ? generate(z, time, kept) : generate(z, 0, kept).subarray(time * size, (time + 1) * size), i));
    said.textContent = `frame ${(time + 1).toFixed(made.timed ? 1 : 0)} of ${T}, ${(performance.now() - start).toFixed(0)} ms`;
    drawn = time;
  }
  const end = () => Number($("time").max);
  function tick(now) {
    if (running) {  // a frame stands for 120 ms, the last one for half a second
      t += last === null ? 0 : Math.min(now - last, 200) / 120 * (made.timed ? Number($("speed").value) : 1);
      if (t > end() + 4) t = 0;
      $("time").value = t;
    }
    last = now;
    show(Math.min(end(), made.timed ? t : Math.floor(t)));
    requestAnimationFrame(tick);
  }
  function run(on) { running = on; $("playing").textContent = on ? "Pause" : "Play"; }
  $("playing").onclick = () => run(!running);
  $("time").oninput = () => { run(false); t = Number($("time").value); };
  $("on").onchange = () => { $("time").max = $("on").checked ? 1.5 * T : T - 1; t = Math.min(t, end()); };
  for (const [button, seed] of [["others", "what"], ["paths", "how"]]) {
    $(button).onclick = () => { $(seed).value = Number($(seed).value) + 1; begin(); };
    $(seed).onchange = begin;
  }
  $("one").onchange = $("way").onchange = begin;
  begin();
  requestAnimationFrame(tick);
}
