// Light, dark, or the system's theme; remembered if the browser allows it.

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
      // Some browsers store nothing for pages from disk.
    }
  });
}
