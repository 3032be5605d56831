//go:build !race

package admission

const slower = 1
