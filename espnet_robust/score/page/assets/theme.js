// Light, dark, or as the system has it; kept for the next time where the browser allows it.

function startTheme() {
  const choose = (value) => {
    document.documentElement.style.colorScheme = value;
    $("theme").value = value;
  };
  try {
    choose(localStorage.getItem("theme") || "light dark");
  } catch {
    choose("light dark");
  }
  $("theme").addEventListener("change", () => {
    choose($("theme").value);
    try {
      localStorage.setItem("theme", $("theme").value);
    } catch {
      // A browser that keeps nothing for pages from disk.
    }
  });
}
