// Package config reads vipd.toml: its schema, its defaults, and a validation
// that names file, line, key and remedy for everything it refuses.
package config
