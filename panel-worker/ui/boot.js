// Runs before the first paint: puts the stored theme on <html>, and says so if the client cannot start.
// The client (src/theme.rs) writes the same `theme` key; nothing else belongs here.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; the system's theme is then right.
  }

  const failed = () => {
    const text = document.getElementById("boot-text");
    if (text) text.textContent = "The panel could not start in this browser. Reload the page; if it stays so, look into the browser's console.";
  };
  addEventListener("error", failed, true);
  addEventListener("unhandledrejection", failed);
})();
