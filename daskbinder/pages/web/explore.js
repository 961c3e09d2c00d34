// Sends what the visitor chose to the server, as the query of the page's address, and shows the text
// that comes back. It is set as text only, never as HTML.
export function render({ model }) {
  const form = document.getElementById("choices")
  const field = (name) => form.elements.namedItem(name)
  const body = document.querySelector("#repositories tbody")
  const groups = [...form.querySelectorAll("fieldset[data-set]")].map((fieldset) => fieldset.dataset.set)

  const boxes_of = (group) => [...form.querySelectorAll(`input[name="${group}"]`)]
  // each key stands for the box at its place in the group
  const keys_of = (group) => [...document.querySelectorAll(`[data-of="${group}"] .key`)]
  function press_keys() {
    for (const group of groups) {
      const boxes = boxes_of(group)
      keys_of(group).forEach((key, place) => key.setAttribute("aria-pressed", boxes[place].checked))
    }
  }

  const DEFAULTS = { range: "all", grain: "average", kind: "lines", page: "1", q: "", repo: "" }
  function query() {
    const chosen = new URLSearchParams(new FormData(form))
    for (const name of groups) {
      const boxes = boxes_of(name)
      const checked = boxes.filter((box) => box.checked)
      if (checked.length === boxes.length) chosen.delete(name)
      else if (!checked.length) chosen.set(name, "")
    }
    if (chosen.get("range") !== "own") { chosen.delete("from"); chosen.delete("to") }
    for (const [name, fallback] of Object.entries(DEFAULTS)) {
      if (chosen.get(name) === fallback) chosen.delete(name)
    }
    return chosen.toString()
  }

  // The reverse of `query`; the server answers with the days.
  function restore(chosen) {
    for (const [name, fallback] of Object.entries(DEFAULTS)) {
      field(name).value = fallback
      field(name).value = chosen.get(name) ?? fallback // which a radio button may not have
    }
    for (const group of groups) {
      const ticked = new Set(chosen.getAll(group))
      for (const box of boxes_of(group)) box.checked = !chosen.has(group) || ticked.has(box.value)
    }
    for (const name of ["from", "to"]) if (chosen.has(name)) field(name).value = chosen.get(name)
    show_kind(field("kind").value)
  }

  let timer = 0
  let asked = model.shown.query
  function ask({ page = 1, typing = false } = {}) {
    field("page").value = page
    press_keys()
    clearTimeout(timer)
    timer = setTimeout(() => {
      const address = query()
      if (address === asked) return // nothing would change, and no answer come
      const record = typing ? "replaceState" : "pushState" // Back undoes a choice, not a letter
      history[record](null, "", address ? `?${address}` : location.pathname)
      send(address)
    }, typing ? 150 : 0)
  }

  const main = document.querySelector("main")
  const lost = document.getElementById("lost")
  let patience = 0
  function send(address) {
    asked = address
    for (const link of document.querySelectorAll("[data-csv]")) link.href = `${link.dataset.csv}?${address}`
    clearTimeout(patience)
    patience = setTimeout(() => { main.ariaBusy = lost.hidden }, 250) // before, it would only flicker
    performance.mark("asked")
    model.send_msg(address) // at once; a property would be sent with later changes
  }
  function rest() {
    clearTimeout(patience)
    main.ariaBusy = "false"
  }

  addEventListener("popstate", () => {
    clearTimeout(timer)
    restore(new URLSearchParams(location.search))
    press_keys()
    if (query() !== asked) send(query())
  })
  for (const shared of Bokeh.documents) shared.on_event("connection_lost", () => {
    rest()
    lost.hidden = false
  })

  form.addEventListener("submit", (event) => { event.preventDefault(); ask() })
  // inputs of the form that are outside its element are heard of in the document only
  document.addEventListener("change", (event) => {
    const input = event.target
    if (input.form !== form || input.type === "search") return
    if (input.type === "date") {
      if (!input.value) return
      form.querySelector('input[name="range"][value="own"]').checked = true
    }
    if (input.name === "kind") show_kind(input.value)
    ask({ page: input.name === "kind" || input.name === "grain" ? field("page").value : 1 })
  })
  document.addEventListener("input", (event) => {
    if (event.target.form === form && event.target.type === "search") ask({ typing: true })
  })
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button")
    if (!button) return
    const { act, of, repo } = button.dataset
    const page = Number(field("page").value)
    if (button.matches(".key")) {
      const group = button.closest("[data-of]").dataset.of
      boxes_of(group)[keys_of(group).indexOf(button)].click()
    } else if (act === "all") {
      for (const box of boxes_of(of)) box.checked = true
      ask()
    } else if (act === "back") ask({ page: page - 1 })
    else if (act === "on") ask({ page: page + 1 })
    else if (act === "reload") location.reload()
    else if (repo !== undefined) { field("repo").value = repo; ask({ page }) }
  })

  function show_kind(kind) {
    for (const plot of document.querySelectorAll("[data-kind]")) plot.hidden = plot.dataset.kind !== kind
  }

  function cell(row, text, kind) {
    const td = row.insertCell()
    if (kind) td.className = kind
    td.textContent = text
    return td
  }

  function show() {
    const shown = model.shown
    if (shown.query === asked) rest()
    for (const part of document.querySelectorAll("[data-show]")) {
      const text = shown[part.dataset.show]
      if (text !== undefined && part.textContent !== text) part.textContent = text
    }
    for (const name of ["from", "to"]) if (shown[name] && document.activeElement !== field(name)) field(name).value = shown[name]
    field("page").value = shown.page
    document.querySelector("[data-act=back]").disabled = shown.page <= 1
    document.querySelector("[data-act=on]").disabled = shown.page >= shown.pages
    const focused = document.activeElement?.dataset?.repo
    body.replaceChildren()
    for (const [rank, name, provider, launches, share, part, repo] of shown.rows) {
      const row = body.insertRow()
      if (repo === shown.repo) row.setAttribute("aria-current", "true")
      cell(row, rank, "n")
      const bar = cell(row, "", "bar")
      bar.style.setProperty("--part", `${part}%`)
      const button = document.createElement("button")
      button.type = "button"
      button.textContent = name
      button.dataset.repo = repo
      const kind = document.createElement("span")
      kind.className = "provider"
      kind.textContent = provider
      bar.append(button, kind)
      cell(row, launches, "n")
      cell(row, share, "n")
      if (repo === focused) button.focus()
    }
    const visit = document.getElementById("visit")
    visit.hidden = !/^https:\/\/(github\.com|gist\.github\.com|gitlab\.com|doi\.org)\//.test(shown.link)
    if (!visit.hidden) { visit.href = shown.link; visit.textContent = shown.link_text }
    for (const note of document.querySelectorAll("[data-note]")) note.hidden = !shown.notes.includes(Number(note.dataset.note))
    // two frames later, the figures that came with the text are painted
    requestAnimationFrame(() => requestAnimationFrame(() => {
      performance.mark("shown")
      document.body.dataset.shown = shown.query
    }))
  }

  if (matchMedia("(max-width: 900px)").matches) document.getElementById("more").open = false
  model.on("shown", show)
  const early = query() // chosen before this script was there to hear of it
  form.reset()
  const given = query()
  show()
  if (early !== given) {
    restore(new URLSearchParams(early))
    ask()
  }
}
