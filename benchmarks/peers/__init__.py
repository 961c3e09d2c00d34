"""The same job as other people would write it, each as well as its library allows."""
