"""Who is calling, and which sites installed the add-on?"""
