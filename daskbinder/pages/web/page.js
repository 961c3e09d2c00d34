// Shared by the explorer and the report: the light and dark themes, figures that a finger can scroll
// past and ask for values, and the report's legend keys, which switch series off and on. Needs no server.
(() => {
  const root = document.documentElement
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const coarse = matchMedia("(pointer: coarse)")
  const remembered = () => { try { return localStorage.getItem("daskbinder-theme") } catch { return null } }

  const figures = () => (window.Bokeh?.documents ?? []).flatMap((doc) => [...doc._all_models.values()])

  function paint() {
    const style = getComputedStyle(root)
    const [ink, soft] = ["--ink", "--soft"].map((name) => style.getPropertyValue(name).trim())
    for (const model of figures()) {
      const names = Object.keys(model.attributes ?? {})
      for (const name of names) {
        if (/^(axis_label|major_label|label|title)_text_color$/.test(name)) model[name] = soft
        else if (name === "text_color") {
          model[name] = typeof model[name] === "string" ? soft : { value: ink }
        }
      }
    }
  }

  function show(theme) {
    root.dataset.theme = theme
    for (const button of document.querySelectorAll("[data-act=theme]")) {
      button.textContent = theme === "dark" ? "Light" : "Dark"
    }
    paint()
  }

  const preferred = () => remembered() ?? (dark.matches ? "dark" : "light")
  show(preferred())
  dark.addEventListener("change", () => show(preferred()))

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button")
    if (button?.dataset.act === "theme") {
      const theme = root.dataset.theme === "dark" ? "light" : "dark"
      try { localStorage.setItem("daskbinder-theme", theme) } catch { /* not remembered */ }
      show(theme)
    } else if (button?.matches("[data-of=''] .key")) {
      const pressed = button.getAttribute("aria-pressed") !== "true"
      button.setAttribute("aria-pressed", pressed)
      const named = new Set(button.closest("[data-figures]").dataset.figures.split(" "))
      for (const model of figures()) {
        if (!named.has(model.name)) continue
        for (const part of model.renderers) if (part.name === button.dataset.name) part.visible = pressed
      }
    }
  })

  // A finger does not hover, and Bokeh shows values to what hovers: move a pointer to where it tapped,
  // and away from where it tapped before.
  let tapped = null
  document.addEventListener("click", (event) => {
    if (!coarse.matches) return
    const { clientX, clientY } = event
    const at = { clientX, clientY, isPrimary: true, view: window } // it has no place on the page without
    tapped?.dispatchEvent(new PointerEvent("pointerout", at))
    const [target] = event.composedPath()
    tapped = target.classList.contains("bk-events") ? target : null
    tapped?.dispatchEvent(new PointerEvent("pointermove", at))
  })

  // Figures arrive one after the other: style each as it comes, until all are there.
  const styled = new WeakSet()
  function style() {
    const there = new Set(figures().map((model) => model.name))
    let awaited = false
    for (const part of document.querySelectorAll("[data-figures]:not(.there)")) {
      if (part.dataset.figures.split(" ").every((name) => there.has(name))) part.classList.add("there")
      else awaited = true
    }
    let fresh = false
    for (const model of figures()) {
      if (styled.has(model)) continue
      styled.add(model)
      fresh = true
      if (model.type === "Figure" && coarse.matches) {
        for (const tool of model.toolbar.tools) if (tool.type !== "HoverTool") tool.active = false
      }
    }
    if (fresh) paint()
    if (awaited) setTimeout(style, 100)
  }
  addEventListener("load", style)
})()
