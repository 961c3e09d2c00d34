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

  function query() {
    const chosen = new URLSearchParams(new FormData(form))
    for (const name of groups) {
      const boxes = boxes_of(name)
      const checked = boxes.filter((box) => box.checked)
      if (checked.length === boxes.length) chosen.delete(name)
      else if (!checked.length) chosen.set(name, "")
    }
    if (chosen.get("range") !== "own") { chosen.delete("from"); chosen.delete("to") }
    for (const [name, fallback] of [["range", "all"], ["grain", "average"], ["kind", "lines"], ["page", "1"], ["q", ""], ["repo", ""]]) {
      if (chosen.get(name) === fallback) chosen.delete(name)
    }
    return chosen.toString()
  }

  let timer = 0
  function ask({ page = 1, soon = false } = {}) {
    field("page").value = page
    press_keys()
    clearTimeout(timer)
    timer = setTimeout(() => {
      const chosen = query()
      history.replaceState(null, "", chosen ? `?${chosen}` : location.pathname)
      for (const link of document.querySelectorAll("[data-csv]")) link.href = `${link.dataset.csv}?${chosen}`
      performance.mark("asked")
      model.send_msg(chosen) // at once; a property would be sent with later changes
    }, soon ? 150 : 0)
  }

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
    if (event.target.form === form && event.target.type === "search") ask({ soon: true })
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
  show()
}
