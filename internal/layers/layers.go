// Package layers holds the one test that keeps the walls between the rooms where docs/architecture.md draws them:
// imports point down, and each third-party library is imported by its adapters only.
package layers
