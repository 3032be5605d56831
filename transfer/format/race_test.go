//go:build race

package format

// raced is true under the race detector, with which neither memory nor time can be judged.
const raced = true
