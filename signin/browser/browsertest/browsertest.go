// Package browsertest finds what tests with a browser, or with clients in JavaScript, need
// on the machine. Without it they are skipped.
package browsertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a program, such as node or chromium.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("there is no " + name)
	}
	return path
}

// Modules returns the absolute path of the modules that a package.json in the folder names.
func Modules(t testing.TB, folder string) string {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join(folder, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Skip("npm install --prefix " + filepath.Dir(modules) + " was not called")
	}
	return modules
}
