"""How the storybook model is made: ``render`` pictures, ``train``, then ``evaluate``."""
