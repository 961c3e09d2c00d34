// Searches the names in index.json, and writes the site's own address where a page asks for it.
// Names are set as text only, never as HTML.
(() => {
  for (const part of document.querySelectorAll("[data-site]")) {
    const site = new URL(part.dataset.site || ".", location.href).href.replace(/\/$/, "")
    part.textContent = part.textContent.replace("SITE", site)
  }
  const search = document.getElementById("search")
  if (!search) return
  const found = document.getElementById("found"), results = document.getElementById("results")
  let names
  async function load() {
    const index = await (await fetch("index.json")).json()
    names = [...index.repositories, ...index.organisations].map(([provider, name, n, path]) => (
      { text: name.toLowerCase(), name, provider, n, path: path.replace(/\.json$/, ".html") }))
    names.sort((one, other) => other.n - one.n)
  }
  const start = () => names ?? (names = load().then(show, () => { found.textContent = "index.json cannot be read" }))
  function show() {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean)
    results.replaceChildren()
    found.textContent = ""
    if (!words.length || !Array.isArray(names)) return
    const matches = names.filter(({ text }) => words.every((word) => text.includes(word)))
    found.textContent = matches.length === 1 ? "1 name" : `${matches.length.toLocaleString("en")} names`
    for (const { name, provider, n, path } of matches.slice(0, 50)) {
      const row = document.createElement("li"), link = document.createElement("a"), about = document.createElement("span")
      link.href = path
      link.className = "name"
      link.textContent = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`)
      about.textContent = `${provider} · ${n.toLocaleString("en")}`
      row.append(link, about)
      results.append(row)
    }
  }
  search.addEventListener("focus", start)
  search.addEventListener("input", () => { start(); show() })
})()
