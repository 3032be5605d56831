package changes

import "reflect"

// Without removes an effect, which is the name of a field of Effects, from an action until
// restore is called, so that a test can show that the effect is needed. No other test
// may run at the same time.
func Without(a Action, effect string) (restore func()) {
	flag := reflect.ValueOf(&a.definition.effects).Elem().FieldByName(effect)
	flag.SetBool(false)
	return func() { flag.SetBool(true) }
}
